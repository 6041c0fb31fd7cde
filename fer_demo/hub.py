"""Files of the Hugging Face Hub, from its usual cache or fetched by a deadline of our own."""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

Progress = Callable[[int, int], None]
"""Bytes done and bytes in all, of the largest file."""

CONTACT_SECONDS = 5.0
"""Within which the Hub must have given a first answer: without network a person should not wait
for the whole deadline."""

SILENCE_SECONDS = 60.0
"""For so long after it could not be reached the Hub is not asked again: several models and the
detector would each wait otherwise."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


UNREACHABLE = "the Hub could not be reached. Check the network and start again."

Kind = Literal["unreachable", "temporary", "final"]


class HubError(Exception):
    """Files that could not be had. The message is a clause that follows "NAME was not fetched:"."""

    def __init__(self, reason: str, kind: Kind):
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Fetched:
    """Files of one commit, side by side in one folder of the cache."""

    folder: Path
    commit: str
    fresh: bool
    """Fetched now, not found in the cache."""
    notice: str | None = None
    """Why an earlier commit than the branch's newest is in use."""


_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
_commits: dict[tuple[str, str, str | None], str] = {}
"""What a branch or tag meant when it was first asked for: it stays so for this process."""
_silent_until: dict[str, float] = {}


def fetch(
    repo: str,
    files: Sequence[str],
    revision: str | None,
    deadline: float,
    progress: Progress | None = None,
) -> Fetched:
    """Files of one commit of a repository. Where they are cached, no socket is opened.

    Several calls for the same repository download once: in this process by a lock, across
    processes by the lock of the Hub's client.

    Args:
        files: at the repository's root, the largest last.
        revision: a commit, which is looked up in the cache first; or a branch, a tag or None for
            the default branch, which the Hub is asked about once a process.
        deadline: seconds after which the download is given up, whatever the Hub does.

    Raises:
        HubError: they are not to be had, or not in time.
    """
    end = time.monotonic() + deadline
    lock = _locks[repo]
    if not lock.acquire(timeout=min(deadline, threading.TIMEOUT_MAX)):
        raise _too_slow(deadline)
    try:
        key = (constants.ENDPOINT, repo, revision)
        pinned = revision is not None and _COMMIT.fullmatch(revision)
        commit = revision if pinned else _commits.get(key)
        if commit and (folder := _cached(repo, files, commit)):
            return Fetched(folder, commit, fresh=False)
        try:
            commit = _download(repo, files, commit or revision, end, deadline, progress)
        except HubError as error:
            earlier = None if pinned or error.kind == "final" else _cached(repo, files, revision)
            if earlier is None:
                raise
            _commits[key] = earlier.name
            notice = f"The newest weights of {repo} were not fetched: {error}"
            return Fetched(earlier, earlier.name, fresh=False, notice=notice)
        _commits[key] = commit
        folder = _cached(repo, files, commit)
        if folder is None:
            raise HubError("the cache lost it. Start again to fetch it anew.", "temporary")
        return Fetched(folder, commit, fresh=True)
    finally:
        lock.release()


def discard(folder: Path, files: Sequence[str]) -> bool:
    """Delete files from the cache, and what its links point to, so that they are fetched anew.

    Returns:
        Whether they are gone; a cache that cannot be written keeps them.
    """
    try:
        for file in files:
            path = folder / file
            while path.is_symlink():
                target = path.parent / path.readlink()
                path.unlink(missing_ok=True)
                path = target
            path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _cached(repo: str, files: Sequence[str], revision: str | None) -> Path | None:
    try:
        paths = [
            Path(hf_hub_download(repo, file, revision=revision, local_files_only=True))
            for file in files
        ]
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None
    # A file of a branch may have been refreshed by another program without its neighbours.
    return paths[0].parent if len({path.parent for path in paths}) == 1 else None


def _download(
    repo: str,
    files: Sequence[str],
    revision: str | None,
    end: float,
    deadline: float,
    progress: Progress | None,
) -> str:
    """Have `fer_demo.hub_download` fill the cache; the commit it found."""
    endpoint = constants.ENDPOINT
    if time.monotonic() < _silent_until.get(endpoint, 0.0):
        raise HubError(UNREACHABLE, "unreachable")
    cache = constants.HF_HUB_CACHE
    wanted = {"repo": repo, "files": list(files), "revision": revision, "cache": cache}
    request = {"fetch": wanted, "deadline": deadline}
    process = _start(request)
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    try:
        return _follow(lines, end, deadline, progress)
    except HubError as error:
        if error.kind == "unreachable":
            _silent_until[endpoint] = time.monotonic() + SILENCE_SECONDS
        raise
    finally:
        _end(process)


def _start(request: dict[str, Any]) -> subprocess.Popen[str]:
    root = str(Path(__file__).parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "fer_demo.hub_download", json.dumps(request)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(paths),
                # The client would first ask the Hub what to report about its environment.
                "HF_HUB_DISABLE_TELEMETRY": "1",
            },
        )
    except OSError:
        raise HubError("no further process can be started here.", "temporary") from None


def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    assert process.stdout is not None  # noqa: S101  asked for as a pipe
    with process.stdout as stdout:
        for line in stdout:
            lines.put(line)
    lines.put(None)


def _follow(
    lines: queue.SimpleQueue[str | None], end: float, deadline: float, progress: Progress | None
) -> str:
    limit, contact = end, False
    while True:
        try:
            line = lines.get(timeout=max(0.0, limit - time.monotonic()))
        except queue.Empty:
            if contact:
                raise _too_slow(deadline) from None
            raise HubError(UNREACHABLE, "unreachable") from None
        if line is None:
            raise HubError("the download broke off. Start again to fetch it anew.", "temporary")
        said: dict[str, Any] = json.loads(line)
        if "commit" in said:
            return str(said["commit"])
        if "failed" in said:
            raise HubError(said["failed"], said["kind"])
        if said.get("state") == "ready":
            limit = min(end, time.monotonic() + CONTACT_SECONDS)
        elif said.get("state") == "contact":
            limit, contact = end, True
        elif progress:
            progress(said["done"], said["total"])


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()  # lets it delete its partial file
    try:
        process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _too_slow(deadline: float) -> HubError:
    reason = f"it took longer than {deadline:g} seconds. Start again on a faster network."
    return HubError(reason, "temporary")
