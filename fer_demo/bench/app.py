"""The app as people start it: seconds to the first prediction, memory with one stream."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fer_demo.bench.client import Film, Visitor

ROOT = Path(__file__).parents[2]
START_SECONDS = 120.0
STREAM_SECONDS = 15.0


@contextmanager
def server(**environment: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`streamlit run app.py` on a free port: its address and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--server.headless=true", f"--server.port={port}", "--server.address=127.0.0.1",
               "--server.fileWatcherType=none"]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), *options],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "FER_ICE_SERVERS": "[]", **environment},
    )
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_until_up(url: str) -> None:
    """Until the health check answers.

    Raises:
        TimeoutError: it does not.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).read()  # noqa: S310
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("The app did not start.")


def measure() -> Mapping[str, float | None]:
    """first_prediction_s (from the command to the first face's chart) and peak_memory_gb."""
    start = time.monotonic()
    with server() as (url, process):
        wait_until_up(url)
        first = asyncio.run(_first_prediction(url, start))
        rate = asyncio.run(_one_stream(url))
        peak = peak_memory(process.pid)
    return {"first_prediction_s": first, "peak_memory_gb": peak, "webrtc_fps": rate}


async def _first_prediction(url: str, start: float) -> float:
    async with Visitor(url, query="example=one") as visitor:
        await visitor.until(lambda: "plotly_chart" in visitor.kinds, START_SECONDS)
    return time.monotonic() - start


async def _one_stream(url: str) -> float:
    """Frames that came back a second."""
    async with Visitor(url, page="live") as visitor:
        await visitor.start(Film(1))
        await visitor.until(lambda: visitor.received > 5, START_SECONDS)
        before, start = visitor.received, time.monotonic()
        await asyncio.sleep(STREAM_SECONDS)
        rate = (visitor.received - before) / (time.monotonic() - start)
        await visitor.stop()
    return rate


def peak_memory(process: int) -> float | None:
    """GB that a process held at most (Linux); None elsewhere."""
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e9
    except OSError:
        pass
    return None
