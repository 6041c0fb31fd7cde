"""The Models page in a real browser."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.ui.test_photo_browser import NARROW, settled, sideways


@NARROW
def test_a_cell_of_the_confusion_is_told_at_a_tap(page: Page, app_url: str):
    page.goto(f"{app_url}/models")
    cells = page.locator(".st-key-confusion .nsewdrag").first
    cells.scroll_into_view_if_needed()
    box = settled(cells)
    # The row of fear, the column of surprise.
    page.mouse.click(box["x"] + box["width"] * 5.5 / 7, box["y"] + box["height"] * 2.5 / 7)
    settled(page.get_by_text("pictures that people called fear, the model called"))
    assert sideways(page) <= 0
