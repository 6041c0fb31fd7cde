"""Files of the Hugging Face Hub, from its usual cache or fetched by a deadline of our own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError

from fer_demo.errors import ModelUnavailable

Progress = Callable[[int, int], None]
"""Bytes done and bytes in all."""

_FETCH = """
import sys
from huggingface_hub import hf_hub_download
hf_hub_download(sys.argv[1], sys.argv[2], revision=sys.argv[3])
"""


def fetch(
    repo: str, file: str, revision: str, deadline: float, progress: Progress | None = None
) -> Path:
    """A file of a pinned revision. Where it is cached, no socket is opened.

    Args:
        deadline: seconds after which the download is given up. The Hub's client waits for ever on
            a slow drip, so it runs in a process that can be ended.

    Raises:
        ModelUnavailable: a sentence without a subject's name, to follow a colon.
    """
    try:
        return Path(hf_hub_download(repo, file, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    try:
        subprocess.run(
            [sys.executable, "-c", _FETCH, repo, file, revision],
            timeout=deadline,
            check=True,
            capture_output=True,
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        raise ModelUnavailable("the better one could not be fetched from the Hub.") from None
    return Path(hf_hub_download(repo, file, revision=revision, local_files_only=True))
