"""Weights in a Hub on loopback, others in the place of the bundled ones, an empty cache."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fer_demo import weights
from fer_demo.settings import Settings
from fer_demo.weights import (
    WeightsFolder,
    open_weights,
)
from tests.factories import write_weights_folder
from tests.hub_server import HubServer, use

REPO = "me/fer-small"


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder; not to be changed."""
    return write_weights_folder(tmp_path_factory.mktemp("weights") / "small", "test_resnet")


@pytest.fixture(autouse=True)
def bundled(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another network in the place of the bundled weights."""
    folder = tmp_path / "bundled"
    write_weights_folder(folder / "small", "test_resnet", seed=1)
    monkeypatch.setattr(weights, "BUNDLED", folder)
    return folder


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache, empty."""
    return use(server, tmp_path / "home", monkeypatch)


def from_hub(name: str = REPO, deadline: float = 60.0, **options: Any) -> WeightsFolder:
    return open_weights(name, Settings(hub_repos=(name,), hub_deadline=deadline), **options)


def assert_bundled(opened: WeightsFolder, reason: str) -> None:
    assert opened.card.source == "bundled"
    assert opened.notice is not None
    assert reason in opened.notice
    assert opened.notice.startswith(f"The weights of {REPO} were ")
    assert opened.notice.endswith(". The bundled small serves instead.")
    assert "\n" not in opened.notice


_watch: list[str] | None = None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watch is not None and event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        _watch.append(f"{event} {arguments}")


sys.addaudithook(_audit)


@pytest.fixture
def quiet() -> Iterator[Callable[[], list[str]]]:
    """Start to watch for sockets and processes; the result lists those that were opened."""
    global _watch

    def start() -> list[str]:
        global _watch
        _watch = []
        return _watch

    yield start
    _watch = None


def flipped(data: bytes) -> bytes:
    return data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]


def kept(cache: Path) -> list[str]:
    """Files of weights in the cache."""
    names = ("model.safetensors", "config.json", "manifest.json")
    return [str(path) for path in cache.rglob("*") if path.name in names]
