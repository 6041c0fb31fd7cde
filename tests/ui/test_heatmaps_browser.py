"""The controls of the heat map in a real browser: what they change, and what is said of it."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.ui.test_compare_browser import choose
from tests.ui.test_photo_browser import NARROW, card, open_app, settled, sideways


def changed(picture: Locator, before: str) -> str:
    """The address of a picture once it is another one."""
    expect(picture).not_to_have_attribute("src", before)
    return picture.get_attribute("src") or ""


def test_every_control_changes_the_map_and_what_is_said_of_it(page: Page, app_url: str):
    open_app(page, app_url, "?example=one&map-method=Evidence")
    heat_map = card(page, 1).get_by_alt_text("map for")
    expect(heat_map).to_be_visible()
    legend = page.locator(".st-key-legend")
    expect(legend.get_by_text("Evidence", exact=True)).to_be_visible()
    shown = heat_map.get_attribute("src") or ""

    page.locator(".st-key-face1").get_by_text("fear", exact=True).click()
    expect(heat_map).to_have_attribute("alt", "Face 1 with the Evidence map for fear.")
    shown = changed(heat_map, shown)

    page.locator(".st-key-opacity input").focus()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("opacity=65"))
    shown = changed(heat_map, shown)

    page.get_by_role("button", name="Heat map").click()
    choose(page, "Held against", "sad")
    expect(heat_map).to_have_attribute("alt", "Face 1 with the Evidence map for fear and not sad.")
    expect(card(page, 1).get_by_text("Fear and not sad")).to_be_visible()
    shown = changed(heat_map, shown)

    page.get_by_text("Show the grid").click()
    expect(card(page, 1).get_by_text("Fear and not sad, 6 x 6 places")).to_be_visible()
    shown = changed(heat_map, shown)

    page.get_by_role("radiogroup").get_by_text("LayerCAM", exact=True).click()
    expect(legend.get_by_text("LayerCAM", exact=True)).to_be_visible()
    expect(card(page, 1).get_by_text("Fear and not sad, 12 x 12 places")).to_be_visible()
    expect(page).to_have_url(re.compile("map-method=LayerCAM"))
    changed(heat_map, shown)


@NARROW
def test_a_phone_shows_map_grid_regions_and_certainty_without_scrolling_sideways(
    page: Page, app_url: str
):
    open_app(page, app_url, "?example=one&map-regions=true&map-grid=true")
    expect(card(page, 1).get_by_text("24 x 24 places")).to_be_visible()
    # Without a network the simpler detector serves, which knows no landmarks.
    expect(card(page, 1).get_by_text("No regions")).to_be_visible()
    expect(card(page, 1).get_by_text(re.compile("at this confidence: right on"))).to_be_visible()
    page.get_by_role("button", name="How sure").click()
    settled(page.get_by_text("of these answers."))
    assert sideways(page) <= 0
