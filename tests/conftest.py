"""What every test may ask for: the shared data, a browser, and tiny networks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def require(condition: object, reason: str) -> None:
    """Skip with a reason, or fail where FER_REQUIRE_ALL=1 says that nothing may be missing."""
    if not condition:
        if os.environ.get("FER_REQUIRE_ALL") == "1":
            pytest.fail(f"FER_REQUIRE_ALL=1, but {reason}")
        pytest.skip(reason)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with FER2013, photographs and the Hub mirror."""
    path = Path(os.environ.get("FER_TEST_SHARED", ROOT.parent / "shared"))
    require(path.is_dir(), f"the shared test data is absent ({path}; FER_TEST_SHARED names it)")
    return path


@pytest.fixture(scope="session")
def photos(shared: Path) -> Path:
    """obama.jpg and obama2.jpg (one face each), two_people.jpg."""
    return shared / "photos"


@pytest.fixture(scope="session")
def fer2013(shared: Path) -> Path:
    """FER2013 with FER+ votes as parquet shards."""
    return shared / "data" / "fer2013"


@pytest.fixture(scope="session")
def yunet_file(shared: Path) -> Path:
    """The detector's file in the Hub mirror."""
    return shared / "hub/opencv/face_detection_yunet/face_detection_yunet_2023mar.onnx"


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    require(path, "Chromium is not installed")
    assert path is not None
    return path
