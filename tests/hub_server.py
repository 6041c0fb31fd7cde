"""A Hub on loopback: enough of the protocol for the real `huggingface_hub` client over real HTTP.

Downloads (resolve with ETag, X-Repo-Commit, X-Linked-Size, redirects to a store of large files on
another host, ranges), revisions, private repositories, and uploads (create, preupload, LFS batch,
commit). Failures (`tests.hub_failures`) are put between a request and its answer with
`HubServer.interfere`.

    with HubServer() as hub:
        commit = hub.commit("owner/name", {"config.json": b"{}"})
        ...  # a process with HF_ENDPOINT=hub.url
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from fer_demo import hub
from tests.hub_protocol import LARGE, TOKEN, Handler, Repo, Seen

__all__ = ["TOKEN", "HubServer", "Interference", "restart", "use"]

Interference = Callable[[Handler], bool]
"""Answers a request in the Hub's place and returns True, or lets it pass."""


class HubServer:
    """The server, its repositories, and what was asked of it."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.renamed: dict[str, str] = {}
        self.store: dict[str, bytes] = {}
        self.seen: list[Seen] = []
        self.interfere: Interference = lambda handler: False
        self.stopping = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.hub = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        """For HF_ENDPOINT."""
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def store_url(self) -> str:
        """The large files' own host: tokens must not be sent there."""
        return f"http://localhost:{self._http.server_port}/store"

    def commit(
        self,
        repo: str,
        files: Mapping[str, bytes],
        *,
        branch: str = "main",
        oid: str | None = None,
        private: bool = False,
        message: str = "",
    ) -> str:
        """Add a commit with these files and no others; returns its id."""
        entry = self.repos.setdefault(repo, Repo(private))
        seed = f"{repo} {len(entry.commits)} {sorted(files)}".encode() + b"".join(files.values())
        oid = oid or hashlib.sha1(seed).hexdigest()
        entry.commits[oid] = dict(files)
        entry.messages[oid] = message
        entry.branches[branch] = oid
        for name, data in files.items():
            if name.endswith(LARGE):
                self.store[hashlib.sha256(data).hexdigest()] = data
        return oid

    def commit_folder(self, repo: str, folder: Path, **options: Any) -> str:
        """Add a commit with the files of a folder."""
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        return self.commit(repo, files, **options)

    def count(self, method: str, path: str) -> int:
        """Requests whose path contains `path`."""
        return sum(seen.method == method and path in seen.path for seen in self.seen)


def use(server: HubServer, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let this process and its children see the server, `home` for the cache, and no token.

    Returns:
        The cache.
    """
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"  # made of ENDPOINT at import
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    restart(monkeypatch)
    return home / "hub"


def restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a process remembers of the Hub until it ends."""
    monkeypatch.setattr(hub, "_commits", {})
    monkeypatch.setattr(hub, "_silent_until", {})
