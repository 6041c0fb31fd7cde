"""What the Hub has comes once, by its commit, and then from the cache."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_demo import __main__
from tests.conftest import ROOT
from tests.factories import write_weights_folder
from tests.hub.conftest import REPO, assert_bundled, from_hub
from tests.hub_failures import delayed, on, status
from tests.hub_protocol import TOKEN
from tests.hub_server import HubServer, restart


def test_weights_are_fetched_once_and_then_no_socket_is_opened(
    server: HubServer, small: Path, quiet: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = server.commit_folder(REPO, small)
    reports: list[tuple[int, int]] = []
    first = from_hub(f"{REPO}@{commit}", progress=lambda *report: reports.append(report))
    size = (small / "model.safetensors").stat().st_size
    assert first.notice is None
    assert first.card.source == f"{REPO}@{commit}"
    assert first.card.name == REPO
    assert reports[-1] == (size, size)
    assert reports == sorted(reports)
    restart(monkeypatch)
    opened = quiet()
    again = from_hub(f"{REPO}@{commit}")
    assert opened == []
    assert again == first


def test_a_branch_is_looked_up_once_a_process(
    server: HubServer, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = server.commit_folder(REPO, small)
    assert from_hub().card.source == f"{REPO}@{first}"
    other = write_weights_folder(tmp_path / "other", "test_resnet", seed=2)
    second = server.commit_folder(REPO, other)
    asked = len(server.seen)
    assert from_hub().card.source == f"{REPO}@{first}"
    assert len(server.seen) == asked
    restart(monkeypatch)
    assert from_hub().card.source == f"{REPO}@{second}"
    server.commit_folder(REPO, small, branch="v1")
    assert from_hub(f"{REPO}@v1").card.sha256 == from_hub(f"{REPO}@{first}").card.sha256


def test_a_branch_without_network_means_what_it_meant_last_time(
    server: HubServer, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = server.commit_folder(REPO, small)
    from_hub()
    restart(monkeypatch)
    server.interfere = on("", status(503))
    opened = from_hub()
    assert opened.card.source == f"{REPO}@{commit}"
    assert opened.notice is not None
    assert opened.notice.startswith(f"The newest weights of {REPO} were not fetched: the Hub is in")


def test_a_renamed_repository_is_followed(server: HubServer, small: Path) -> None:
    server.commit_folder(REPO, small)
    server.renamed["me/old"] = REPO
    assert from_hub("me/old").notice is None


def test_a_private_repository_takes_a_token_which_stays_with_the_hub(
    server: HubServer, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.commit_folder(REPO, small, private=True)
    assert_bundled(from_hub(), f"shows no repository {REPO}. If it is private, set HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert_bundled(from_hub(), "refused the token. Correct HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert from_hub().notice is None
    stored = [seen for seen in server.seen if seen.path.startswith("/store")]
    assert stored
    assert all(s.authorization is None and s.host.startswith("localhost") for s in stored)


def test_two_sessions_download_once(server: HubServer, small: Path) -> None:
    server.commit_folder(REPO, small)
    server.interfere = delayed(0.2)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: from_hub(), range(2))
    assert first == second
    assert server.count("GET", "/store") == 1


def test_two_processes_download_once(server: HubServer, small: Path, fresh: Path) -> None:
    commit = server.commit_folder(REPO, small)
    server.interfere = delayed(0.3)
    program = """
import json, sys
from fer_demo.hub import fetch
fetched = fetch(*json.loads(sys.argv[1]), deadline=30)
print((fetched.folder / "model.safetensors").resolve())
"""
    request = json.dumps([REPO, ["manifest.json", "config.json", "model.safetensors"], commit])
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program, request], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    paths = {process.communicate(timeout=60)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert server.count("GET", "/store") == 1
    (path,) = paths
    assert Path(path).read_bytes() == (small / "model.safetensors").read_bytes()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_command_line_shows_how_far_it_is(
    server: HubServer, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.commit_folder(REPO, small)
    picture = tmp_path / "grey.png"
    cv2.imwrite(str(picture), np.full((64, 64), 128, np.uint8))
    monkeypatch.setenv("FER_HUB_REPOS", REPO)
    told = []
    for _ in range(2):
        monkeypatch.setattr(sys, "stderr", Terminal())
        assert __main__.main(["analyse", str(picture)]) == 0
        told.append(sys.stderr.getvalue())
    assert re.search(rf"Fetching {REPO}: 100%.*B/s", told[0])
    assert "Fetching" not in told[1], "it is cached"
