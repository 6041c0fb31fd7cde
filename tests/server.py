"""The app as a process of its own, on a machine where nothing can be written, if need be."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fer_demo.weights import DETECTOR_FILE, DETECTOR_REPO, DETECTOR_REVISION
from tests.conftest import ROOT

CANNOT_LOCK = 97

_LOCK = f"""
awk '{{print $2}}' /proc/mounts | while read -r place; do
  mount -o remount,bind,ro "$place" 2>/dev/null
done
for place in / /tmp /var/tmp /dev/shm "$HOME" "$PWD" "$0"; do
  if touch "$place/.writable" 2>/dev/null; then rm "$place/.writable"; exit {CANNOT_LOCK}; fi
done
exec "$@"
"""
"""Every mount becomes read-only, for this process alone: it has a namespace of its own. Nothing
depends on whose files they are, so it holds for root too."""


def can_lock() -> bool:
    """Whether a process can be started to which nothing is writable."""
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(["unshare", "-rm", "sh", "-c", _LOCK, "/tmp", "true"], check=False)
    return tried.returncode == 0


def hub_cache(folder: Path, yunet: Path) -> Path:
    """A Hub cache in which the detector has been fetched already."""
    repo = folder / "hub" / f"models--{DETECTOR_REPO.replace('/', '--')}"
    target = repo / "snapshots" / DETECTOR_REVISION / DETECTOR_FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(yunet, target)
    return folder


@contextmanager
def serve(
    folder: Path,
    yunet: Path | None,
    *,
    locked: bool = False,
    start: tuple[str, ...] = ("-m", "streamlit", "run", str(ROOT / "app.py")),
    **environment: str,
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`streamlit run app.py` on a free port: its address and its process.

    Args:
        folder: for the Hub's cache and `server.log`.
        yunet: the detector's file, for the cache; None for a cache that is empty and a Hub that
            cannot be reached.
        locked: nothing is writable to the process: no temporary folder, no home, no root.
        start: what Python is given before the server's options.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, *start, f"--server.port={port}", "--server.address=127.0.0.1"),
        "--server.headless=true",
    ]
    if locked:
        command = ["unshare", "-rm", "sh", "-c", _LOCK, str(folder), *command]
    home = {"HF_HOME": str(folder), "FER_ICE_SERVERS": "[]"}
    if yunet is None:
        home["HF_ENDPOINT"] = "http://127.0.0.1:9"
    else:
        hub_cache(folder, yunet)
        home["HF_HUB_OFFLINE"] = "1"
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **home, **environment}
        )
        url = f"http://127.0.0.1:{port}"
        try:
            _wait(url, process, folder / "server.log")
            yield url, process
        finally:
            process.kill()  # it holds nothing that is worth a goodbye
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"The server did not start (status {process.poll()}): {log.read_text()}")


class Memory:
    """Of a process, MB above what it had when this was made."""

    def __init__(self, process: subprocess.Popen[bytes]):
        self._folder = Path(f"/proc/{process.pid}")
        (self._folder / "clear_refs").write_text("5")  # the peak starts again from what it has now
        self._before = self._read("VmRSS")

    def peak(self) -> float:
        """The most since then."""
        return self._read("VmHWM") - self._before

    def kept(self) -> float:
        """What it has now."""
        return self._read("VmRSS") - self._before

    def _read(self, name: str) -> float:
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024
