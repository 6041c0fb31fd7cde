"""Load on the live page, by hand: `python -m tests.load.live cycles|stream|two [--minutes 10]`.

Visitors speak Streamlit's protocol and WebRTC (`benchmarks/visitor.py`). Each run starts an app of
its own and prints what the bars of issue 6 ask for.

    cycles  200 starts and stops, half of them by killing the tab: threads and memory before, after
    stream  one stream for --minutes: memory slope, p95 age of the boxes on show
    two     two streams at once and photos meanwhile: frames a second each, p95 age, foreign people
"""

from __future__ import annotations

import argparse
import asyncio
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from benchmarks.visitor import Film, Visitor
from tests.conftest import ROOT
from tests.ui.live_app import serve

YUNET = "hub/opencv/face_detection_yunet/face_detection_yunet_2023mar.onnx"
LIVE = re.compile(r"\*\*Live:\*\* (\d+) frames/s, (\d+) ms delay")


def state(process: psutil.Process) -> tuple[int, float]:
    """Threads, and resident memory in MB."""
    return process.num_threads(), process.memory_info().rss / 1e6


def rate_and_delay(visitor: Visitor) -> tuple[float, float] | None:
    """What the status line says: frames/s, and ms."""
    for text in visitor.texts.values():
        if found := LIVE.search(text):
            return float(found[1]), float(found[2])
    return None


async def one_cycle(url: str, politely: bool) -> None:
    visitor = await Visitor(url, page="live").__aenter__()
    await visitor.start(Film(1))
    await visitor.until(lambda: visitor.received > 2, 120)
    if politely:
        await visitor.stop()
        await visitor.until(lambda: visitor.says("**Ended:**"), 60)
    await visitor.leave(politely)


async def cycles(url: str, process: psutil.Process, count: int) -> None:
    """Threads and memory after warming up, and after `count` starts and stops."""
    for _ in range(4):
        await one_cycle(url, True)
    await asyncio.sleep(10)
    threads, memory = state(process)
    print(f"before: {threads} threads, {memory:.0f} MB", flush=True)
    for k in range(count):
        await one_cycle(url, politely=k % 2 == 0)
        if k % 20 == 19:
            print(
                f"{k + 1:>4}: {state(process)[0]} threads, {state(process)[1]:.0f} MB", flush=True
            )
    # A killed tab's session is given up after two minutes.
    await asyncio.sleep(150)
    after, more = state(process)
    print(f"after: {after} threads ({after - threads:+d}), {more:.0f} MB ({more - memory:+.0f})")


async def stream(url: str, process: psutil.Process, minutes: float) -> None:
    """Memory slope and p95 of the delay over one stream; it is started again when it ends."""
    samples: list[tuple[float, float]] = []
    delays: list[float] = []
    start = time.monotonic()
    async with Visitor(url, page="live") as visitor:
        while time.monotonic() - start < 60 * minutes:
            if visitor.peer is None:
                await visitor.start(Film(1))
                await visitor.until(lambda: visitor.says("**Live:**"), 60)
            await asyncio.sleep(1)
            if time.monotonic() - start > 30:
                samples.append((time.monotonic() - start, state(process)[1]))
            if now := rate_and_delay(visitor):
                delays.append(now[1])
        await visitor.stop()
    seconds, memory = np.array(samples).T
    slope = np.polyfit(seconds / 3600, memory, 1)[0]
    print(f"{minutes:g} min: {slope:+.1f} MB/h, p95 delay {np.percentile(delays, 95):.0f} ms")


async def two(url: str, seconds: float = 30.0) -> None:
    """Two streams of one and of three people, and a visitor of the Photo page."""
    async with Visitor(url, page="live") as one, Visitor(url, page="live") as three:
        await one.start(Film(1))
        await three.start(Film(3))
        await one.until(lambda: one.received > 10, 120)
        await three.until(lambda: three.received > 10, 120)
        rates: dict[str, list[float]] = {"one": [], "three": []}
        delays: dict[str, list[float]] = {"one": [], "three": []}
        foreign = 0
        start, photos = time.monotonic(), 0
        while time.monotonic() - start < seconds:
            await asyncio.sleep(1)
            for name, visitor in (("one", one), ("three", three)):
                if now := rate_and_delay(visitor):
                    rates[name].append(now[0])
                    delays[name].append(now[1])
            foreign += one.says("2 people in view") or one.says("3 people in view")
            if (time.monotonic() - start) // 10 > photos:
                photos += 1
                async with Visitor(url, query="example=several") as photo:
                    await photo.until(lambda p=photo: "plotly_chart" in p.kinds, 60)
        for name in rates:
            print(
                f"{name}: {np.median(rates[name]):.0f} frames/s, "
                f"p95 delay {np.percentile(delays[name], 95):.0f} ms"
            )
        print(f"{photos} photos meanwhile; foreign people seen {foreign} times")
        await one.stop()
        await three.stop()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("cycles", "stream", "two"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder), given.shared / YUNET) as (url, process),
    ):
        watched = psutil.Process(process.pid)
        if given.what == "cycles":
            asyncio.run(cycles(url, watched, given.count))
        elif given.what == "stream":
            asyncio.run(stream(url, watched, given.minutes))
        else:
            asyncio.run(two(url))


if __name__ == "__main__":
    main()
