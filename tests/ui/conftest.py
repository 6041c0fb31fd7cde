"""The app in-process (AppTest) on tiny networks, and on a port for a real browser."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import streamlit_webrtc
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from streamlit.testing.v1 import AppTest

from fer_demo import faces, weights
from fer_demo.examples import EXAMPLES
from fer_demo.ui import live_shared, resources
from tests.conftest import ROOT, require
from tests.factories import write_weights_folder
from tests.server import serve
from tests.ui.live_component import LIVE, Component, session

TIMEOUT = 90
"""Seconds; a first run compiles a network, on a machine that may be busy."""

CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def png(rgb: np.ndarray) -> bytes:
    """The pixels as a PNG file."""
    buffer = BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


def example_png(example_id: str) -> bytes:
    """One of the examples as a person's own file."""
    example = next(example for example in EXAMPLES if example.id == example_id)
    return png(example.make())


def wall_png() -> bytes:
    """A picture without a face."""
    rng = np.random.default_rng(0)
    return png(rng.integers(110, 130, (240, 320, 3), np.uint8))


@pytest.fixture(scope="session")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two tiny models: "sure" is never uncertain, "unsure" always is."""
    folder = tmp_path_factory.mktemp("weights")
    for name, threshold in (("sure", 0.0), ("unsure", 1.0)):
        write_weights_folder(
            folder / name,
            config=lambda config, t=threshold: config["fer_demo"].update(uncertain_below=t),
        )
    return folder


@pytest.fixture
def models(two_models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The app has the two tiny models and no others."""
    monkeypatch.setattr(weights, "BUNDLED", two_models)
    resources.settings.clear()
    yield two_models
    resources.settings.clear()


@pytest.fixture
def simple_detector(without_yunet: None) -> Iterator[None]:
    """The Hub cannot be reached, and nothing is cached."""
    resources.detector.clear()
    yield
    resources.detector.clear()


@pytest.fixture
def good_detector(yunet_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """YuNet's file is there."""
    monkeypatch.setattr(faces, "detector_file", lambda *_: yunet_file)
    resources.detector.clear()
    yield
    resources.detector.clear()


@pytest.fixture
def app(models: Path, simple_detector: None) -> AppTest:
    """The app as it opens, not run yet."""
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=TIMEOUT)


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`streamlit run app.py` as a person starts it, without a network, on a free port."""
    require(
        any((ROOT / "fer_demo" / "weights").glob("*/config.json")), "no weights are bundled yet"
    )
    folder = tmp_path_factory.mktemp("server")
    with serve(folder, None) as (url, _):
        yield url
    log = (folder / "server.log").read_text()
    assert "Traceback" not in log, log


class LiveServer(NamedTuple):
    """An app with the good detector, for the stories of the Live page."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path
    """Where its `server.log` is."""
    temporary: Path
    """The folder for its temporary files."""


@pytest.fixture(scope="session")
def live_server(yunet_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One for all stories that change none of its limits; the last of them ends its process."""
    folder = tmp_path_factory.mktemp("live")
    temporary = folder / "temporary"
    temporary.mkdir()
    # Nothing else that it may write would hide a picture.
    environment = {"TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    with serve(folder, yunet_file, **environment) as (url, process):
        yield LiveServer(url, process, folder, temporary)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A headless Chromium, gone after its module: while it is there no other loop can run."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(params=[1280], ids=["desktop"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """An empty tab; `indirect` parameters set its width."""
    context = browser.new_context(viewport={"width": request.param, "height": 860})
    context.set_default_timeout(TIMEOUT * 1000)
    expect.set_options(timeout=TIMEOUT * 1000)
    yield context.new_page()
    context.close()


@pytest.fixture
def one(app: AppTest) -> AppTest:
    """The page after a click on the first example."""
    return app.run().button(key="example-one").click().run()


@pytest.fixture
def component(monkeypatch: pytest.MonkeyPatch) -> Component:
    component = Component()
    monkeypatch.setattr(streamlit_webrtc, "webrtc_streamer", component)
    return component


@pytest.fixture
def live(models: object, simple_detector: None, component: Component) -> Iterator[AppTest]:
    """The page before START."""
    shared = (live_shared.live_detector, live_shared.places, live_shared.relays)
    for thing in shared:
        thing.clear()
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=TIMEOUT)
    app.run().switch_page(LIVE).run()
    assert not app.exception
    yield app
    if "live-session" in app.session_state:
        session(app).end()
    for thing in shared:
        thing.clear()
