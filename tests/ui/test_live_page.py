"""The Live page in a real browser, whose camera plays a film of faces over real WebRTC."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    FrameLocator,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from tests.ui.camera import browser_with_camera
from tests.ui.conftest import LiveServer

PATIENCE = 180.0
"""Seconds; a browser that encodes video shares the processor with the server here."""

FACES = 2

_EVIDENCE_PIXELS = """v => {
  const c = document.createElement('canvas'); c.width = 160; c.height = 120;
  const x = c.getContext('2d'); x.drawImage(v, 0, 0, 160, 120);
  const p = x.getImageData(0, 0, 160, 120).data; let sum = 0;
  for (let i = 0; i < p.length; i += 4) {
    if (Math.min(p[i], p[i + 2]) > p[i + 1] + 16) sum += 1;
  }
  return sum;
}"""
"""Of 160 x 120: purple ones, a colour that the film has not."""


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=1000 * PATIENCE)
    with sync_playwright() as playwright:
        yield playwright
    expect.set_options(timeout=5000)


@pytest.fixture(scope="module")
def browser(
    playwright: Playwright, chromium: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("camera")
    with browser_with_camera(playwright, chromium, folder, FACES) as browser:
        yield browser


def open_live(browser: Browser, url: str) -> tuple[Page, FrameLocator]:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(f"{url}/live")
    frame = page.frame_locator("iframe[title^='streamlit_webrtc']")
    frame.get_by_role("button", name="START").wait_for()
    return page, frame


def eventually(happens: Callable[[], object], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.2)


def go_live(page: Page, frame: FrameLocator) -> None:
    """START, and again where the machine was too busy to connect within the page's time."""
    told = page.locator(".st-key-live-status")
    for _ in range(4):
        frame.get_by_role("button", name="START").click()
        expect(told).not_to_contain_text("Cannot connect")
        expect(told).to_contain_text(re.compile("Live:|Cannot connect"))
        if "Live:" in told.inner_text():
            return
    raise AssertionError("no connection came about")


def status(page: Page) -> str:
    return page.locator(".st-key-live-status").inner_text()


def frames(page: Page) -> int:
    found = re.search(r"(\d+) frames$", status(page))
    return int(found[1]) if found else 0


def test_from_start_to_the_files_after_stop(browser: Browser, live_server: LiveServer) -> None:
    page, frame = open_live(browser, live_server.url)
    # The notice stands above the video, and nothing has run yet.
    notice = page.locator(".st-key-notice").bounding_box()
    video_box = page.locator(".st-key-live-video-box").bounding_box()
    assert notice is not None
    assert video_box is not None
    assert notice["y"] < video_box["y"]
    assert status(page).startswith("Ready")

    go_live(page, frame)
    video = frame.locator("video")
    eventually(lambda: video.evaluate("v => v.videoWidth") > 0)
    at = video.evaluate("v => v.currentTime")
    eventually(lambda: video.evaluate("v => v.currentTime") > at + 0.5)
    count = frames(page)
    eventually(lambda: frames(page) > count + 5)
    page.get_by_text(f"{FACES} people in view").wait_for()

    lines = page.locator(".st-key-live-rolling .scatterlayer path.js-line")
    lines.first.wait_for(state="attached")
    shape = lines.nth(3).get_attribute("d")
    eventually(lambda: lines.nth(3).get_attribute("d") != shape)

    eventually(lambda: video.evaluate(_EVIDENCE_PIXELS) < 60)
    page.get_by_text("Evidence", exact=True).click()
    eventually(lambda: video.evaluate(_EVIDENCE_PIXELS) > 200)
    page.get_by_text("Evidence", exact=True).click()
    eventually(lambda: video.evaluate(_EVIDENCE_PIXELS) < 60)

    page.get_by_role("button", name="Save this moment").click()
    page.get_by_text("1 saved").wait_for()
    frame.get_by_role("button", name="STOP").click()
    expect(page.locator(".st-key-live-status")).to_contain_text("Ended:")
    page.locator(".st-key-live-strips .barlayer path").first.wait_for()
    page.locator(".st-key-live-shares .barlayer path").first.wait_for()

    rows = list(csv.DictReader(io.StringIO(download(page, "CSV").decode("utf-8-sig"))))
    assert {row["person"] for row in rows} >= {"1", "2"}
    assert all(0 <= float(row["confidence"]) <= 1 for row in rows)
    record = json.loads(download(page, "JSON"))
    assert len(record["rows"]) == len(rows)
    assert download(page, "Last picture (PNG)").startswith(b"\x89PNG")
    assert download(page, re.compile("^At ")).startswith(b"\x89PNG")

    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".st-key-live-status")).to_contain_text("Ready")
    go_live(page, frame)
    frame.get_by_role("button", name="STOP").click()  # others need its place
    expect(page.locator(".st-key-live-status")).to_contain_text("Ended:")
    page.close()


def download(page: Page, name: str | re.Pattern[str]) -> bytes:
    with page.expect_download() as started:
        page.get_by_role("button", name=name, exact=True).click()
    return Path(started.value.path()).read_bytes()
