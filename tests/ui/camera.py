"""A Chromium whose camera plays a film of faces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
from playwright.sync_api import Browser, Playwright

from fer_demo.bench.film import frame


def write_mjpeg(path: Path, faces: int, seconds: float = 6.0, rate: int = 15) -> None:
    """The film as concatenated JPEGs, forth and back, as Chromium's fake camera plays it."""
    forth = [frame(faces, k / rate) for k in range(round(seconds * rate / 2))]
    with path.open("wb") as file:
        for rgb in (*forth, *forth[::-1]):
            bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
            file.write(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())


@contextmanager
def browser_with_camera(
    playwright: Playwright, chromium: str, folder: Path, faces: int, *arguments: str
) -> Iterator[Browser]:
    """Chromium; its camera shows `faces` moving faces, and is allowed without a question."""
    film = folder / f"film-{faces}.mjpeg"
    write_mjpeg(film, faces)
    browser = playwright.chromium.launch(
        executable_path=chromium,
        args=["--no-sandbox", "--use-fake-ui-for-media-stream",
              "--use-fake-device-for-media-stream",
              f"--use-file-for-fake-video-capture={film}", *arguments],
    )  # fmt: skip
    try:
        yield browser
    finally:
        browser.close()
