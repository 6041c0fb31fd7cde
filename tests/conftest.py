"""What every test may ask for: the shared data, a browser, and tiny networks."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fer_demo.measured import Measured

from fer_demo.errors import ModelUnavailable

ROOT = Path(__file__).parent.parent

YUNET = "hub/opencv/face_detection_yunet/face_detection_yunet_2023mar.onnx"
"""The detector's file below the folder of the shared data."""

FOR_TESTS = {
    "FER_REQUIRE_ALL", "FER_TEST_SHARED", "FER_SMOKE", "FER_FUZZ_EXAMPLES", "FER_PEER"
}  # fmt: skip
for name in list(os.environ):  # what a person has set for an app of their own, tokens too
    ours = name.startswith("FER_") and name not in FOR_TESTS
    if ours or name.startswith(("CLOUDFLARE_", "TWILIO_")) or name in ("HF_TOKEN", "SPACE_HOST"):
        del os.environ[name]
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # another computes beside it; torch reads this at import
    os.environ.setdefault("OMP_NUM_THREADS", "1")

TOGETHER = {
    "browser": (
        "test_compare_browser", "test_heatmaps_browser", "test_hostile_uploads",
        "test_models_browser", "test_photo_browser",
    ),
    "live": ("test_live_page", "test_live_stream"),
}  # fmt: skip
"""Files of one worker, in their order: they share a server, which the last story of "live" ends."""

LONGEST = ("tests/training/test_shipped.py", "tests/training/test_smoke.py", "browser", "live")
"""What is begun first, so that at the end one worker is not left alone with one of them."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two for all the tests; what is named runs in this process, which is ready sooner."""
    return 2 if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Divide the tests between workers by file: what a file sets up is set up once."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    place = {group: place for place, group in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(_group(item), len(place)))


def _group(item: pytest.Item) -> str:
    shared = (group for group, names in TOGETHER.items() if item.path.stem in names)
    return next(shared, item.nodeid.partition("::")[0])


WAIT = 60.0
"""Seconds until a test gives up; a busy machine is slow, not wrong."""


def until(holds: Callable[[], object]) -> None:
    """Wait for something to hold."""
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < WAIT, "it never happened"
        time.sleep(0.005)


def require(condition: object, reason: str) -> None:
    """Skip with a reason, or fail where FER_REQUIRE_ALL=1 says that nothing may be missing."""
    if not condition:
        if os.environ.get("FER_REQUIRE_ALL") == "1":
            pytest.fail(f"FER_REQUIRE_ALL=1, but {reason}")
        pytest.skip(reason)


SHARED = Path(os.environ.get("FER_TEST_SHARED", ROOT.parent / "shared"))
"""The folder with FER2013, photographs and the detector's file."""


def _shared(part: str) -> Path:
    path = SHARED / part
    require(path.exists(), f"shared test data is absent ({path}; FER_TEST_SHARED names its folder)")
    return path


@pytest.fixture(scope="session")
def photos() -> Path:
    """obama.jpg and obama2.jpg (one face each), two_people.jpg."""
    return _shared("photos")


@pytest.fixture(scope="session")
def fer2013() -> Path:
    """FER2013 with FER+ votes as parquet shards."""
    return _shared("data/fer2013")


@pytest.fixture(scope="session")
def yunet_file() -> Path:
    """The detector's file, in a folder that mirrors the Hub."""
    return _shared(YUNET)


@pytest.fixture
def without_yunet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub cannot be reached, and nothing is cached."""

    def refuse(*_: object) -> Path:
        raise ModelUnavailable("the Hub could not be reached.")

    monkeypatch.setattr("fer_demo.faces.detector_file", refuse)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    require(path, "Chromium is not installed")
    assert path is not None
    return path


# These import torch, for whoever asks: it reads what is set above when it is imported.


@pytest.fixture(scope="session")
def measurements(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one model with everything that is measured of it."""
    from tests.measurements import write_measurements

    folder = tmp_path_factory.mktemp("measured")
    write_measurements(folder / "resnet18")
    return folder


@pytest.fixture(scope="session")
def model(measurements: Path) -> Measured:
    """The model in that folder."""
    from fer_demo.measured import bundled

    return bundled(measurements)[0]
