"""The app as people start it: seconds to the first prediction, memory with one stream.

What visits it is `benchmarks/visitor.py`, in a process of its own.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def measure(model: str) -> Mapping[str, float | None]:
    """With this model: first_prediction_s (from the command to the first face's chart),
    peak_memory_gb, webrtc_fps (frames that came back a second, of 15 sent), and of two streams at
    once two_streams_fps (of the slower one) and two_streams_p95_ms (age of the frames on show);
    None where a visit failed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    visitor = _visitor("first", url, model)  # loaded before the clock starts
    start = time.time()
    server = _serve(port)
    try:
        (first,) = _numbers(visitor, 1)
        (rate,) = _numbers(_visitor("stream", url, model), 1)
        peak = peak_memory(server.pid)  # with one stream
        slower, late = _numbers(_visitor("two", url, model), 2)
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
    return {
        "first_prediction_s": None if first is None else first - start,
        "peak_memory_gb": peak,
        "webrtc_fps": rate,
        "two_streams_fps": slower,
        "two_streams_p95_ms": late,
    }


def _serve(port: int) -> subprocess.Popen[bytes]:
    options = ["--server.headless=true", f"--server.port={port}", "--server.address=127.0.0.1"]
    return subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), *options],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "FER_ICE_SERVERS": "[]"},
    )


def _visitor(what: str, url: str, model: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.visitor", what, url, model],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    if process.stdout is not None:
        process.stdout.readline()
    return process


def _numbers(visitor: subprocess.Popen[str], count: int) -> list[float] | list[None]:
    """What it printed last: so many numbers, or as many times None."""
    words = (visitor.communicate()[0] or "").split()
    if visitor.returncode != 0 or len(words) < count:
        return [None] * count
    return [float(word) for word in words[-count:]]


def peak_memory(process: int) -> float | None:
    """GB that a process held at most (Linux); None elsewhere."""
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e9
    except OSError:
        pass
    return None
