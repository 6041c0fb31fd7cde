"""The detector takes the same road as the weights, and all can be fetched beforehand."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from skimage.data import astronaut

from fer_demo import hub, prefetch
from fer_demo.errors import ModelUnavailable
from fer_demo.faces import load_detector
from fer_demo.settings import Settings
from fer_demo.weights import (
    DETECTOR_FILE,
    DETECTOR_REPO,
    DETECTOR_REVISION,
    DETECTOR_SHA256,
    detector_file,
)
from tests.conftest import ROOT
from tests.hub.conftest import REPO, flipped, from_hub
from tests.hub_failures import body, on, silence
from tests.hub_server import HubServer, restart


@pytest.fixture
def detector_repo(server: HubServer, yunet_file: Path) -> str:
    return server.commit(
        DETECTOR_REPO, {DETECTOR_FILE: yunet_file.read_bytes()}, oid=DETECTOR_REVISION
    )


def test_the_detector_comes_from_the_hub_and_then_from_the_cache(
    server: HubServer, detector_repo: str, quiet: Callable[[], list[str]]
) -> None:
    path = detector_file(Settings())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == DETECTOR_SHA256
    opened = quiet()
    detector = load_detector(Settings())
    assert opened == []
    assert (detector.name, detector.notice) == ("yunet", None)


def test_a_damaged_detector_is_deleted_and_fetched_anew(
    server: HubServer, detector_repo: str, yunet_file: Path
) -> None:
    server.interfere = on("/store", body(flipped(yunet_file.read_bytes())))
    with pytest.raises(ModelUnavailable, match="damaged on its way and was deleted"):
        detector_file(Settings())
    server.interfere = lambda handler: False
    path = detector_file(Settings())
    path.resolve().write_bytes(flipped(path.read_bytes()))
    assert hashlib.sha256(detector_file(Settings()).read_bytes()).hexdigest() == DETECTOR_SHA256


def test_a_detector_that_cannot_be_read_is_a_sentence_and_the_simpler_one_serves(
    server: HubServer, detector_repo: str
) -> None:
    path = detector_file(Settings())
    path.unlink()
    path.mkdir()  # nobody can read that, not even root
    detector = load_detector(Settings())
    assert detector.name == "haar"
    assert detector.notice is not None
    assert "YuNet was refused: its file cannot be read." in detector.notice


def test_everything_can_be_fetched_before_it_is_needed(
    server: HubServer,
    detector_repo: str,
    small: Path,
    monkeypatch: pytest.MonkeyPatch,
    quiet: Callable[[], list[str]],
) -> None:
    name = f"{REPO}@{server.commit_folder(REPO, small)}"
    monkeypatch.setenv("FER_HUB_REPOS", name)
    assert prefetch.main() == 0
    restart(monkeypatch)
    opened = quiet()
    assert load_detector(Settings()).name == "yunet"
    assert from_hub(name).card.source == name
    assert opened == []
    monkeypatch.setenv("FER_HUB_REPOS", "me/none")
    assert prefetch.main() == 1


def test_without_the_detector_the_simpler_one_serves_and_says_so(server: HubServer) -> None:
    detector = load_detector(Settings())
    assert detector.name == "haar"
    assert detector.notice is not None
    assert detector.notice.startswith("Using the simpler face detector")
    assert "YuNet was not fetched: the Hub shows no repository" in detector.notice


def test_without_network_the_command_line_waits_once_and_answers(
    server: HubServer, tmp_path: Path
) -> None:
    server.interfere = on("", silence)
    picture = tmp_path / "astronaut.png"
    cv2.imwrite(str(picture), cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR))
    done = subprocess.run(
        [sys.executable, "-m", "fer_demo", "analyse", str(picture)],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
        env={**os.environ, "FER_HUB_REPOS": REPO},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1 found by haar" in done.stdout
    assert f"The weights of {REPO} were not fetched: the Hub could not be reached" in done.stderr
    assert "Using the simpler face detector" in done.stderr
    # It waits for network and detector at the same time, so the rest of 15 seconds is for its
    # start, whose time on the clock would measure who else uses this machine.
    assert len(server.seen) <= 2
    assert hub.CONTACT_SECONDS <= 5
