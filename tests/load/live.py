"""Visitors of the Live page, who speak WebRTC too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import cv2
import numpy as np
import psutil

from benchmarks.visitor import Film, Visitor
from tests.load import isolation
from tests.load.bars import FAILURES, Bar, memory
from tests.load.session import Session


def closest(visitor: Visitor, films: Sequence[Film]) -> int:
    """Index of the film that the picture on the visitor's screen comes from; it is mirrored."""

    def thumbnail(rgb: np.ndarray) -> np.ndarray:
        return cv2.resize(rgb, (32, 24), interpolation=cv2.INTER_AREA).astype(float)

    assert visitor.shown is not None
    shown = thumbnail(visitor.shown.to_ndarray(format="rgb24")[:, ::-1])
    apart = [min(np.abs(thumbnail(p) - shown).mean() for p in film.pictures) for film in films]
    return int(np.argmin(apart))


async def one_cycle(url: str, politely: bool) -> None:
    """START, a few frames, and STOP or a killed tab."""
    visitor = await Visitor(url, page="live").__aenter__()
    try:
        await visitor.start(Film(1))
        await visitor.until(lambda: visitor.received > 2, 120)
        if politely:
            await visitor.stop()
            await visitor.until(lambda: visitor.says("**Ended:**"), 60)
    finally:
        await visitor.leave(politely)


async def one_too_many(url: str, _: psutil.Process, places: int = 2) -> list[Bar]:
    """One stream more than there are places; then a tab is killed, and it tries again."""
    async with AsyncExitStack() as stack:
        killed = await Visitor(url, page="live").__aenter__()
        others = [await stack.enter_async_context(Visitor(url, page="live")) for _ in range(places)]
        *lucky, late = others
        for visitor in (killed, *lucky):
            await visitor.start(Film(1, rate=5, width=320))
            await visitor.until(lambda v=visitor: v.says("**Live:**"), 120)
        await late.start(Film(1, rate=5, width=320))
        told = await late.until(lambda: late.says("**No free place.**"), 120)
        await late.until(lambda: late.peer is None, 60)
        await killed.leave(politely=False)
        start = time.monotonic()
        while not late.says("**Live:**") and time.monotonic() - start < 60:
            await late.start(Film(1, rate=5, width=320))
            await asyncio.sleep(1)
            await late.until(lambda: late.peer is None or late.says("**Live:**"), 60)
        free = time.monotonic() - start
    return [
        Bar("places: the next is told in 1 s", f"{told:.2f} s", told <= 1),
        Bar("places: a killed tab frees its place in 10 s", f"{free:.1f} s", free <= 10),
    ]


async def restarts(
    url: str, process: psutil.Process, cycles: int, settle: float = 150.0
) -> list[Bar]:
    """So many starts and stops, every other one by killing the tab.

    Args:
        settle: seconds until the sessions of killed tabs have been given up; that takes 120.
    """
    for _ in range(4):
        await one_cycle(url, True)
    await asyncio.sleep(10)
    threads, before, failures = process.num_threads(), memory(process), 0
    for number in range(cycles):
        try:
            await one_cycle(url, politely=number % 2 == 0)
        except FAILURES as error:
            print(f"restarts failure: {error!r}")
            failures += 1
    await asyncio.sleep(settle)
    more, grown = process.num_threads() - threads, memory(process) - before
    return [
        Bar("restarts failures: 0", f"{failures} of {cycles} starts", not failures),
        Bar("restarts threads: ± 2", f"{threads} before, {more:+d} after", abs(more) <= 2),
        Bar("restarts memory: +50 MB", f"{before:.0f} MB before, {grown:+.0f} after", grown <= 50),
    ]


async def shutdown(url: str, process: psutil.Process) -> list[Bar]:
    """SIGTERM in the middle of a stream."""
    visitor = await Visitor(url, page="live").__aenter__()
    await visitor.start(Film(1))
    await visitor.until(lambda: visitor.says("**Live:**"), 120)
    start = time.monotonic()
    process.terminate()
    await asyncio.to_thread(process.wait, 60)
    took = time.monotonic() - start
    await visitor.leave(politely=False)
    return [Bar("shutdown: ends in 5 s", f"{took:.1f} s", took <= 5)]


async def long_stream(
    url: str, process: psutil.Process, minutes: float, warm_up: float = 60.0
) -> list[Bar]:
    """One stream, started again where it ends by itself.

    Args:
        warm_up: seconds before memory is looked at.
    """
    samples: list[tuple[float, float]] = []
    delays: list[float] = []
    start = time.monotonic()
    async with Visitor(url, page="live") as visitor:
        while (now := time.monotonic() - start) < 60 * minutes + warm_up:
            if visitor.peer is None:
                await visitor.start(Film(1))
                await visitor.until(lambda: visitor.says("**Live:**"))
            await asyncio.sleep(1)
            if now > warm_up:
                samples.append((now / 60, memory(process)))
            if status := visitor.rate_and_delay():
                delays.append(status[1])
        await visitor.stop()
    times, used = np.array(samples).T
    grown = np.polyfit(times, used, 1)[0] * minutes
    p95 = float(np.percentile(delays, 95))
    return [
        # In less than an hour 5 MB an hour are too little to be told from noise.
        Bar("long memory: +5 MB in an hour", f"{grown:+.1f} MB in {minutes:g} minutes", grown <= 5),
        Bar("long p95 delay: 300 ms", f"{p95:.0f} ms", p95 <= 300),
    ]


async def two(url: str, _: psutil.Process, seconds: float) -> list[Bar]:
    """Two streams of one and of three people: alone, then beside a visitor of the Photo page.

    Args:
        seconds: of each half; in the second a photo comes each ten seconds.
    """
    films = Film(1), Film(3)
    async with Visitor(url, page="live") as one, Visitor(url, page="live") as three:
        streams = one, three
        for visitor, film in zip(streams, films, strict=True):
            await visitor.start(film)
        for visitor in streams:
            await visitor.until(lambda v=visitor: v.received > 10, 120)
        alone = await _look(streams, films, seconds)
        waits: list[float] = []
        found = isolation.Found()
        photos = asyncio.create_task(_photos(url, waits, found))
        beside = await _look(streams, films, seconds)
        if photos.done():
            await photos  # only ever ends by an error
        photos.cancel()
        await one.stop()
        await three.stop()
    said = f"{alone.rates[0]:.0f} with one person, {alone.rates[1]:.0f} with three"
    photo = f"beside {len(waits)} photos {beside.rates[0]:.0f} and {beside.rates[1]:.0f}"
    foreign = alone.foreign + beside.foreign + found.foreign
    return [
        Bar("Two streams: 12 frames/s each", f"{said}; {photo}", min(alone.rates) >= 12),
        Bar(
            "Two streams p95 delay: 250 ms",
            f"{alone.p95:.0f} ms; beside the photos {beside.p95:.0f} ms",
            alone.p95 <= 250,
        ),
        Bar(
            "Two streams, foreign pictures: 0",
            f"seen {foreign} times; {found.pictures} pictures of photos looked at",
            foreign == 0 and found.own > 0,
        ),
    ]


@dataclass(frozen=True)
class _Look:
    """What two streams' status lines said."""

    rates: list[float]
    """Frames/s of each, the median."""
    p95: float
    """Of both delays, ms."""
    foreign: int
    """Times that a stream spoke of, or showed, the people of the other."""


async def _look(
    streams: tuple[Visitor, Visitor], films: tuple[Film, Film], seconds: float
) -> _Look:
    one, three = streams
    found: dict[Visitor, list[tuple[float, float]]] = {one: [], three: []}
    foreign = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(1)
        for visitor, figures in found.items():
            if status := visitor.rate_and_delay():
                figures.append(status)
        foreign += one.says("people in view") or three.says("1 person in view")
        foreign += (closest(one, films), closest(three, films)) != (0, 1)
    rates = [float(np.median([rate for rate, _ in figures])) for figures in found.values()]
    delays = [delay for figures in found.values() for _, delay in figures]
    return _Look(rates, float(np.percentile(delays, 95)), foreign)


async def _photos(url: str, waits: list[float], found: isolation.Found) -> None:
    """A visitor with a marked photo each ten seconds."""
    users = len(isolation.MARKS)
    while True:
        user = len(waits) % users
        async with Session(url, "opacity=0") as session:
            start = time.monotonic()
            await session.upload((f"user{user}.jpg", isolation.marked_photo(user, len(waits))))
            waits.append(time.monotonic() - start)
            for picture in (await session.look()).values():
                found.check(user, users, picture)
        await asyncio.sleep(10)
