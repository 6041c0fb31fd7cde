"""Make the README's pictures of the app, from the example that the app ships.

python docs/screenshots.py [--browser /usr/bin/chromium]
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent


@contextmanager
def running_app() -> Iterator[str]:
    """The app on a free port of this machine; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true"]
    process = subprocess.Popen([*command, f"--server.port={port}"], cwd=ROOT)
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(address + "/_stcore/health", timeout=1)  # noqa: S310 - this machine
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browser", default=shutil.which("chromium"))
    given = parser.parse_args()
    with running_app() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=given.browser, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 1150}, color_scheme="light")
        for _ in range(2):  # the first picture after the start waits for the networks
            page.goto(address + "/?example=several")
            page.get_by_test_id("stPlotlyChart").first.wait_for(timeout=120_000)
        page.wait_for_timeout(2_000)  # charts draw themselves in
        # In all its colours: a palette would change those of the expressions and of the evidence.
        picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
        picture.save(ROOT / "docs" / "photo-page.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
