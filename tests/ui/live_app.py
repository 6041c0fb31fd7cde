"""The app as a process of its own, and a Chromium whose camera plays a film of faces."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
from playwright.sync_api import Browser, Playwright

from fer_demo.bench.film import frame
from fer_demo.weights import DETECTOR_FILE, DETECTOR_REPO, DETECTOR_REVISION
from tests.conftest import ROOT


def hub_cache(folder: Path, yunet: Path) -> Path:
    """A Hub cache in which the detector has been fetched already."""
    repo = folder / "hub" / f"models--{DETECTOR_REPO.replace('/', '--')}"
    target = repo / "snapshots" / DETECTOR_REVISION / DETECTOR_FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(yunet, target)
    return folder


@contextmanager
def serve(folder: Path, yunet: Path, **environment: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """`streamlit run app.py` on a free port: its address and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (folder / "server.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.headless=true",
         f"--server.port={port}", "--server.address=127.0.0.1"],
        cwd=ROOT, stdout=log, stderr=log,
        env={**os.environ, "HF_HOME": str(hub_cache(folder, yunet)), "HF_HUB_OFFLINE": "1",
             "FER_ICE_SERVERS": "[]", **environment},
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(900):
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).read()
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise RuntimeError(f"The server did not start: {(folder / 'server.log').read_text()}")
        yield url, process
    finally:
        process.kill()  # it holds nothing that is worth a goodbye
        process.wait()
        log.close()


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
