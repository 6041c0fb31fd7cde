"""The part of `fer_demo.hub` that talks to the Hub: a program of its own, so that it can be ended.

`huggingface_hub` has no deadline: it waits for ever on a server that drips, and for minutes in its
retries. Takes one JSON request as its argument, writes one JSON object a line:

    {"state": "ready"}                       this program has started and asks the Hub
    {"state": "contact"}                     the Hub has answered
    {"done": 1048576, "total": 22405014}     bytes of the last file asked for
    {"commit": "3cc2..."}                    all files are in the cache; the last line
    {"failed": "...", "kind": "temporary"}   the arguments of a HubError; the last line
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import tqdm

from fer_demo.hub import UNREACHABLE, Kind

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT)
REPORT_EVERY = 0.1
"""Seconds between two progress lines."""

MAX_BYTES = 500_000_000
"""Of one file; the networks that ship have 8 and 22 MB."""


class TooLarge(Exception):
    """A file is larger than any that the app could use; the message is a clause."""


class _Report(tqdm):
    """Progress as lines on standard output instead of a bar."""

    def __init__(self, *args: Any, **kwargs: Any):
        self._all = kwargs.get("total")
        # Xet counts what came over the network and what was written apart; HTTP counts both alike.
        self._written = self._received = kwargs.get("initial") or 0
        self._last = 0.0
        super().__init__(*args, **{**kwargs, "disable": True})

    def update(self, n: float | None = 1) -> bool | None:
        """Count `n` more bytes written."""
        self._written += n or 0
        self._report()
        return None

    def update_transfer(self, n: float) -> None:
        """Count `n` more bytes received."""
        self._received += n
        self._report()

    def set_transfer_postfix_str(self, text: str, refresh: bool = True) -> None:
        """The speed, which nobody sees here."""

    def _report(self) -> None:
        done, now = max(self._written, self._received), time.monotonic()
        if self._all and (now - self._last >= REPORT_EVERY or done >= self._all):
            self._last = now
            _say(done=int(min(done, self._all)), total=int(self._all))


def main() -> None:
    """Fetch what the request asks for into the cache."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # unwinds, so partial files are deleted
    request = json.loads(sys.argv[1])
    # If the parent was killed nobody ends this process any more.
    watchdog = threading.Timer(request["deadline"] + 5, os._exit, [1])
    watchdog.daemon = True
    watchdog.start()
    wanted, contact = request["fetch"], False
    try:
        _say(state="ready")
        # hf_hub_download repeats a failed first request for half a minute: ask once before.
        get_hf_file_metadata(
            hf_hub_url(wanted["repo"], wanted["files"][0], revision=wanted["revision"])
        )
        contact = True
        _say(state="contact")
        _say(commit=_fetch(**wanted))
    except Exception as error:  # whatever it is, the person gets a sentence
        reason, kind = _reason(error, wanted["repo"], wanted["revision"])
        if contact and kind == "unreachable":
            reason, kind = "the connection broke off. Start again to fetch it anew.", "temporary"
        _say(failed=reason, kind=kind)


def _fetch(repo: str, files: list[str], revision: str | None, cache: str) -> str:
    for file in files:
        url = hf_hub_url(repo, file, revision=revision)
        size = get_hf_file_metadata(url, retry_on_errors=True).size
        if size is not None and size > MAX_BYTES:
            raise TooLarge(
                f"{file} has more than {MAX_BYTES // 10**6} MB, the most that is fetched"
            )
        bar = _Report if file == files[-1] else None
        path = hf_hub_download(repo, file, revision=revision, cache_dir=cache, tqdm_class=bar)
        # The first file settles which commit a branch means; the others are taken from that.
        revision = Path(path).parent.name
    return str(revision)


def _reason(error: Exception, repo: str, revision: str | None) -> tuple[str, Kind]:
    """A clause that follows a colon, and what kind of failure it tells."""
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    match error:
        case TooLarge():
            return f"{error}.", "final"
        case OfflineModeIsEnabled():
            return "offline mode is on. Unset HF_HUB_OFFLINE to fetch it.", "temporary"
        case HFValidationError():
            return f"{repo} cannot be the name of a repository.", "final"
        case GatedRepoError():
            return f"the terms of {repo} must be accepted first. Do so, set HF_TOKEN.", "final"
        case RepositoryNotFoundError():
            return (
                f"the Hub shows no repository {repo}. If it is private, set HF_TOKEN to a token "
                "that may read it."
            ), "final"
        case RevisionNotFoundError():
            return f"{repo} has no revision {revision}.", "final"
        case LocalEntryNotFoundError():
            return UNREACHABLE, "unreachable"
        case EntryNotFoundError():
            return (
                f"{repo} lacks a file that is needed. Name one made by training.publish.",
                "final",
            )
        case HfHubHTTPError():
            return _status_reason(error, repo)
        case HTTPError():
            return UNREACHABLE, "unreachable"
        case FileMetadataError():
            return (
                "what answered is not the Hub. A sign-in page of the network may be in the way."
            ), "temporary"
        case OSError(errno=number) if number in NO_SPACE:
            return "the disk is full. Free some space and start again.", "final"
        case OSError(errno=number) if number in NOT_WRITABLE:
            return "the cache cannot be written. Set HF_HOME to a folder that can.", "final"
        case OSError() if "onsistency check failed" in str(error):
            return "it arrived incomplete. Start again to fetch it anew.", "temporary"
    return (
        f"the download failed ({type(error).__name__}). Start again to fetch it anew.",
        "temporary",
    )


def _status_reason(error: HfHubHTTPError, repo: str) -> tuple[str, Kind]:
    status = error.response.status_code
    if status == 401:
        return "the Hub refused the token. Correct HF_TOKEN, or unset it.", "final"
    if status == 403:
        return f"the token in HF_TOKEN may not read {repo}.", "final"
    if status == 404:
        return f"the Hub shows no repository {repo}.", "final"
    if status == 429:
        wait = error.response.headers.get("retry-after", "")
        when = f"in {wait} seconds" if wait.isdigit() else "in a few minutes"
        return f"the Hub has had too many requests. Start again {when}.", "temporary"
    return f"the Hub is in trouble (status {status}). Start again later.", "temporary"


def _say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    main()
