"""The Photo page in a real browser: uploads, charts, evidence, downloads, dragging, keyboard."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page, expect

from fer_demo.types import EXPRESSIONS
from tests.ui.conftest import TIMEOUT, example_png, png, wall_png

NARROW = pytest.mark.parametrize("page", [390], indirect=True, ids=["phone"])


def upload(page: Page, *files: tuple[str, bytes]) -> None:
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
        [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files]
    )


def card(page: Page, number: int) -> Locator:
    return page.locator(f".st-key-card-{number}")


def open_app(page: Page, url: str, query: str = "") -> None:
    page.goto(f"{url}/{query}")
    expect(page.get_by_text("It does not know what anyone feels")).to_be_visible()


def sideways(page: Page) -> int:
    """Pixels by which the page is wider than the window."""
    return page.evaluate(
        "() => { const m = document.querySelector('[data-testid=stMain]');"
        " return Math.max(m.scrollWidth - m.clientWidth,"
        " document.documentElement.scrollWidth - innerWidth); }"
    )


def settled(element: Locator) -> FloatRect:
    """The box of an element, px, once its page is drawn and it stays where it is: a chart takes its
    size before it listens."""
    app = element.page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-script-state", "notRunning")
    before = None
    for _ in range(TIMEOUT * 10):
        box = element.bounding_box()
        if box is not None and box == before:
            return box
        before = box
        element.page.wait_for_timeout(100)
    raise AssertionError("it never came to rest")


def test_two_uploads_faces_charts_evidence_and_csv(page: Page, app_url: str, tmp_path: Path):
    open_app(page, app_url)
    upload(page, ("first.png", example_png("one")), ("second.png", example_png("several")))
    expect(card(page, 1).get_by_alt_text("Face 1", exact=True)).to_be_visible()
    expect(card(page, 1).locator(".js-plotly-plot .bars path")).to_have_count(7)
    expect(page.get_by_alt_text("The picture with 1 face")).to_be_visible()

    page.locator(".st-key-show-1").get_by_role("button", name="2").first.click()
    expect(card(page, 3)).to_be_visible()

    evidence = card(page, 1).get_by_alt_text("map for")
    before = evidence.get_attribute("src")
    page.locator(".st-key-face1").get_by_text("fear", exact=True).click()
    expect(card(page, 1).get_by_alt_text("map for fear")).to_be_visible()
    assert evidence.get_attribute("src") != before
    expect(page).to_have_url(re.compile("face1=fear"))

    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    with Path(download.value.path()).open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    numbered = {(row["picture"], row["image"]) for row in rows}
    assert numbered == {("1", "first.png"), ("2", "second.png")}
    assert rows[0]["face"] == "1"


def test_what_was_not_read_stays_named_while_the_page_is_used(page: Page, app_url: str):
    open_app(page, app_url)
    upload(page, ("bad.png", b"no picture"), ("good.png", example_png("one")))
    expect(card(page, 1)).to_be_visible()
    refused = page.locator(".st-key-refused").get_by_text("bad.png was not read")
    expect(refused).to_be_visible()
    # Streamlit tells of the upload once more: the server's copies are gone by now.
    page.get_by_role("button", name="Add a missed face").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Add a missed face")).to_be_visible()
    expect(refused).to_be_visible()
    json_button = page.get_by_role("button", name="JSON")
    settled(json_button)
    with page.expect_download() as download:
        json_button.click()
    good, bad = json.loads(Path(download.value.path()).read_text())
    assert (good["image"], bad["image"]) == ("good.png", "bad.png")
    assert bad["error"].startswith("bad.png was not read")


def test_downloads_of_several_pictures(page: Page, app_url: str):
    open_app(page, app_url, "?example=one")
    expect(card(page, 1)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    (record,) = json.loads(Path(download.value.path()).read_text())
    assert record["faces"][0]["id"] == 1
    with page.expect_download() as download:
        page.get_by_role("button", name="ZIP").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert "picture-001/face-001.png" in archive.namelist()
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG").click()
    assert download.value.suggested_filename == "one-face-faces.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_a_box_is_dragged_on_the_picture(page: Page, app_url: str):
    open_app(page, app_url)
    upload(page, ("wall.png", wall_png()))
    page.get_by_role("button", name="Mark a face").click()
    surface = page.locator(".js-plotly-plot .nsewdrag").first
    expect(surface).to_be_visible()
    box = settled(surface)
    left, top, side = box["x"] + box["width"] / 3, box["y"] + 40, 120
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(left + side / 2, top + side / 2, steps=5)
    page.mouse.move(left + side, top + side, steps=5)
    page.mouse.up()
    expect(card(page, 1)).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No face found in wall.png")).to_be_visible()


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "with another"])
def test_what_stands_below_a_tall_picture_is_in_the_window_with_it(
    page: Page, app_url: str, others: int
):
    rgb = np.asarray(Image.open(BytesIO(example_png("one"))))
    tall = np.pad(rgb, ((len(rgb), len(rgb)), (0, 0), (0, 0)))
    open_app(page, app_url)
    upload(page, *(("tall.png", png(tall)), ("wall.png", wall_png()))[: 1 + others])
    expect(card(page, 1)).to_be_visible()
    expect(page.get_by_role("button", name="Add a missed face")).to_be_visible()
    expect(page.locator(".st-key-thumbnails")).to_have_count(others)
    navigation = 72  # px, below which the column stays
    column = settled(page.locator(".st-key-picture"))
    assert page.viewport_size is not None
    assert navigation + column["height"] <= page.viewport_size["height"]


def test_nothing_is_drawn_over_the_picture_in_fullscreen(page: Page, app_url: str):
    open_app(page, app_url, "?example=one")
    expect(card(page, 1)).to_be_visible()
    place = settled(card(page, 1).get_by_alt_text("Face 1", exact=True))
    picture = page.get_by_alt_text("The picture with 1 face")
    picture.hover()
    page.get_by_role("button", name="Fullscreen: The picture with 1 face").click()
    expect(picture).to_have_attribute("style", re.compile("max-height"))
    assert page.evaluate(
        "([x, y]) => !!document.elementFromPoint(x, y).closest('.st-key-picture')",
        [place["x"] + place["width"] / 2, place["y"] + place["height"] / 2],
    )


def tab_to(page: Page, wanted: Locator, most: int = 60) -> None:
    """Press Tab until something has the focus."""
    expect(wanted).to_be_visible()
    for _ in range(most):
        page.keyboard.press("Tab")
        if wanted.evaluate("it => it.contains(document.activeElement)"):
            return
    raise AssertionError(f"{wanted} has no focus after {most} steps")


def test_everything_is_reached_by_keyboard(page: Page, app_url: str):
    open_app(page, app_url)
    tab_to(page, page.get_by_test_id("stFileUploader"))
    tab_to(page, page.get_by_role("button", name="One face"))
    page.keyboard.press("Enter")
    expect(card(page, 1)).to_be_visible()
    tab_to(page, card(page, 1).get_by_role("radiogroup"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page).to_have_url(re.compile("face1="))
    tab_to(page, page.locator(".st-key-downloads").get_by_role("button", name="CSV"))
    tab_to(page, page.locator(".st-key-opacity").get_by_role("slider"))
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("opacity=65"))


def test_nothing_is_asked_of_other_hosts(page: Page, app_url: str):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_app(page, app_url, "?example=one")
    expect(card(page, 1)).to_be_visible()
    assert not [url for url in asked if not url.startswith((app_url, "data:", "blob:", "ws:"))]


@NARROW
@pytest.mark.parametrize("query", ["", "?example=one", "?example=several"])
def test_a_phone_never_scrolls_sideways(page: Page, app_url: str, query: str):
    open_app(page, app_url, query)
    if query:
        expect(card(page, 1).locator(".js-plotly-plot .bars path")).to_have_count(7)
    else:
        expect(page.get_by_role("button", name="One face")).to_be_visible()
    settled(page.get_by_test_id("stMainBlockContainer"))
    assert sideways(page) <= 0


def test_a_choice_on_a_card_goes_into_the_address_and_not_over_to_another_face(
    page: Page, app_url: str
):
    open_app(page, app_url, "?example=one")
    first = card(page, 1).get_by_role("radio", checked=True)
    said = first.inner_text()
    other = "fear" if said != "fear" else "sad"
    card(page, 1).get_by_role("radio", name=other).click()
    expect(page).to_have_url(re.compile(rf"face1={other}"))
    upload(page, ("another.png", example_png("several")))
    expect(page).not_to_have_url(re.compile("face1="))
    heading = card(page, 1).get_by_role("heading").inner_text()
    expect(card(page, 1).get_by_role("radio", checked=True)).to_have_text(
        re.search("|".join(EXPRESSIONS), heading.lower())[0]
    )
