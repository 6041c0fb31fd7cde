"""The comparison of models in a real browser."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from playwright.sync_api import Page, TimeoutError, expect

from tests.conftest import ROOT
from tests.ui.test_photo_browser import open_app, settled, sideways

BUNDLED = len(list((ROOT / "fer_demo/weights").glob("*/config.json")))


def choose(page: Page, name: str, words: str) -> None:
    """Pick from a list, as a person does: scroll to it, for scrolling closes it. A list that closes
    while the page is being drawn is opened again."""
    box = page.get_by_role("combobox", name=name)
    for _ in range(6):
        box.scroll_into_view_if_needed()
        settled(box)
        box.click()
        with suppress(TimeoutError):
            return page.get_by_role("option", name=words, exact=True).click(timeout=5000)
        page.keyboard.press("Escape")
    raise AssertionError(f'no list of "{name}" stayed open')


@pytest.mark.skipif(BUNDLED < 2, reason="only one network is bundled")
@pytest.mark.parametrize("page", [1280, 390], indirect=True, ids=["desktop", "phone"])
def test_models_stand_side_by_side_with_one_face_and_one_expression(page: Page, app_url: str):
    open_app(page, app_url, "?example=several&compare=true")
    verdict = page.locator(".st-key-verdict")
    expect(verdict.get_by_text("Together they ")).to_be_visible()
    expect(page.get_by_role("button", name="ZIP of everything")).to_be_visible()
    choose(page, "Face", "2")
    maps = page.get_by_alt_text("Face 2 with the evidence of")
    expect(maps).to_have_count(BUNDLED)
    choose(page, "Evidence for", "fear")
    for shown in maps.all():
        expect(shown).to_have_attribute("alt", re.compile("for fear.$"))
    tops = {round(settled(shown)["y"]) for shown in maps.all()}
    assert len(tops) == 1
    assert sideways(page) <= 0
