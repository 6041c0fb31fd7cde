"""Whatever the Hub or the machine does, one sentence says it in time, and bundled weights serve."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest
from huggingface_hub import constants

from fer_demo.errors import ModelUnavailable
from fer_demo.settings import Settings
from fer_demo.weights import (
    detector_file,
)
from tests.hub.conftest import REPO, assert_bundled, from_hub
from tests.hub_failures import drip, huge, on, page, silence, status
from tests.hub_server import HubServer, Interference, restart


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (on("", status(401)), "refused the token"),
        (on("", status(403)), "may not read"),
        (on("", status(404)), "shows no repository"),
        (on("", status(429, Retry_After="77")), "too many requests. Start again in 77 seconds."),
        (on("", status(500)), "in trouble (status 500)"),
        (on("", page), "not the Hub. A sign-in page of the network"),
        (on("model.safetensors", huge, method="HEAD"), "model.safetensors has more than 500 MB"),
        (on("/store", status(404)), "shows no repository"),
        (on("/store", page), "incomplete"),
        (on("manifest.json", page, method="GET"), "incomplete"),
    ],
)  # fmt: skip
def test_a_failure_is_one_sentence_and_the_next_start_recovers(
    server: HubServer,
    small: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: Interference,
    reason: str,
) -> None:
    server.commit_folder(REPO, small)
    server.interfere = failure
    assert_bundled(from_hub(), reason)
    server.interfere = lambda handler: False
    restart(monkeypatch)
    assert from_hub().notice is None


def test_what_the_repository_lacks_is_named(server: HubServer, small: Path) -> None:
    assert_bundled(from_hub(), f"shows no repository {REPO}")
    server.commit(REPO, {"model.safetensors": (small / "model.safetensors").read_bytes()})
    assert_bundled(from_hub(), f"{REPO} lacks a file that is needed")
    notice = from_hub(f"{REPO}@v9").notice
    assert notice is not None
    assert f"{REPO} has no revision v9." in notice


def test_a_slow_drip_is_stopped_by_our_own_deadline(
    server: HubServer, small: Path, fresh: Path
) -> None:
    server.commit_folder(REPO, small)
    server.interfere = on("/store", drip)
    start = time.monotonic()
    # A busy machine needs some of it to start what downloads.
    assert_bundled(from_hub(deadline=20), "it took longer than 20 seconds")
    assert time.monotonic() - start < 60
    assert not list(fresh.rglob("*.incomplete"))


@pytest.mark.parametrize("how", ["silent", "refused"])
def test_without_network_the_answer_comes_fast_and_only_once(
    server: HubServer, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "silent":
        server.interfere = on("", silence)
    else:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    start = time.monotonic()
    assert_bundled(from_hub(), "the Hub could not be reached")
    assert time.monotonic() - start < 60  # a download may take two minutes
    start = time.monotonic()
    with pytest.raises(ModelUnavailable, match="YuNet was not fetched: the Hub could not be"):
        detector_file(Settings())
    assert time.monotonic() - start < 0.5


def test_a_full_disk_is_said(server: HubServer, small: Path, fresh: Path) -> None:
    server.commit_folder(REPO, small)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        assert_bundled(from_hub(), "the disk is full. Free some space")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert from_hub().notice is None


def test_a_cache_that_cannot_be_written_is_said(
    server: HubServer, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.commit_folder(REPO, small)
    (tmp_path / "file").touch()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file/hub"))
    assert_bundled(from_hub(), "the cache cannot be written. Set HF_HOME")


def test_offline_mode_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert_bundled(from_hub(), "offline mode is on. Unset HF_HUB_OFFLINE")
