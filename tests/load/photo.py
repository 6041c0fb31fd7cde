"""Visitors of the Photo page, who speak Streamlit's protocol."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from io import BytesIO

import numpy as np
import psutil
from PIL import Image

from fer_demo.slots import SENTENCE
from tests.hostile.corpus import encode
from tests.hostile.test_faces import crowd
from tests.load import isolation
from tests.load.bars import FAILURES, Bar, memory, watch
from tests.load.session import Session

PAUSE = 30.0
"""Seconds from one photo of a visitor to the next."""

PARTS = 8
"""That a series of memory is cut into."""

STORED = 128
"""Sessions that Streamlit keeps after their tabs have gone (`MemorySessionStorage`)."""


def phone_photo(seed: int) -> bytes:
    """12 megapixels with a face, as a phone makes them."""
    small = isolation.marked_photo(seed % len(isolation.MARKS), 2 * seed)
    rgb = np.asarray(Image.open(BytesIO(small)).resize((4000, 3000)))
    return encode(rgb, "JPEG", quality=85)


async def steady_visitors(
    url: str, process: psutil.Process, sessions: int, minutes: float
) -> list[Bar]:
    """So many sessions, a photo each half minute."""
    photos = [phone_photo(seed) for seed in range(8)]
    waits: list[float] = []
    failures: list[str] = []

    async def send(session: Session, number: int) -> None:
        start = time.monotonic()
        await session.upload((f"{number}.jpg", photos[number % len(photos)]))
        waits.append(time.monotonic() - start)
        assert session.faces(), session.words()[-200:]
        await session.look()
        await session.click("Clear")

    async def visit(place: int) -> None:
        await asyncio.sleep(PAUSE * place / sessions)
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            try:
                async with Session(url) as session:
                    while (start := time.monotonic()) < end:
                        await send(session, place + len(waits))
                        await asyncio.sleep(max(0.0, start + PAUSE - time.monotonic()))
            except FAILURES as error:  # and comes again with a new tab
                failures.append(repr(error))
                await asyncio.sleep(PAUSE)

    async with Session(url) as first:  # loads the networks
        await first.upload(("first.jpg", photos[0]))
    samples: list[float] = []
    watching = asyncio.create_task(watch(process, samples))
    async with asyncio.TaskGroup() as group:
        for place in range(sessions):
            group.create_task(visit(place))
    watching.cancel()
    for failure in failures[:3]:
        print(f"visitors failure: {failure}")
    p50, p95, p99 = np.percentile(waits, (50, 95, 99))
    quarters = ", ".join(f"{part[-1]:.0f}" for part in np.array_split(samples, 4))
    return [
        Bar("visitors failures: 0", f"{len(failures)} of {len(waits)} photos", not failures),
        Bar("visitors p95: 5 s", f"p50 {p50:.2f}, p95 {p95:.2f}, p99 {p99:.2f} s", p95 <= 5),
        Bar(
            "visitors memory: 1500 MB",
            f"at most {max(samples):.0f} MB; after each quarter {quarters}; "
            f"{process.num_threads()} threads",
            max(samples) <= 1500,
        ),
    ]


async def closed_tabs(
    url: str, process: psutil.Process, cycles: int, fill: int = STORED + 10, rest: float = 10.0
) -> list[Bar]:
    """Connect, upload and close, so many times; every other tab is killed.

    Args:
        fill: cycles before that, until as many sessions are given up as come.
        rest: seconds before threads are counted.
    """
    photos = [isolation.marked_photo(number % len(isolation.MARKS), number) for number in range(20)]
    failures = 0

    async def cycle(number: int) -> None:
        session = await Session(url).__aenter__()
        await session.upload((f"{number}.png", photos[number % len(photos)]))
        assert session.faces(), session.words()[-200:]
        if number % 2:
            session.drop()
        else:
            await session.__aexit__(None, None, None)

    for number in range(fill):
        await cycle(number)
    await asyncio.sleep(rest)
    threads, samples = process.num_threads(), []
    for number in range(cycles):
        try:
            await cycle(number)
        except FAILURES as error:
            print(f"tabs failure: {error!r}")
            failures += 1
        samples.append(memory(process))
    await asyncio.sleep(rest)
    # Of the lowest in each part: between two collections, a minute apart, memory only rises.
    parts = np.array_split(np.arange(cycles), min(PARTS, cycles))
    floors = [min(samples[number] for number in part) for part in parts]
    slope = 1000 * np.polyfit([part.mean() for part in parts], floors, 1)[0]
    more = process.num_threads() - threads
    return [
        Bar("tabs failures: 0", f"{failures} of {cycles} cycles", not failures),
        Bar(
            "tabs memory: +20 kB a cycle",
            f"{slope:+.1f} kB; lowest of each part {', '.join(f'{low:.0f}' for low in floors)} MB",
            slope <= 20,
        ),
        Bar("tabs threads: ± 2", f"{threads} before, {more:+d} after", abs(more) <= 2),
    ]


async def busy(url: str, _: psutil.Process, visitors: int) -> list[Bar]:
    """More visitors in one moment than there are places and room to wait for one."""
    photo = encode(crowd(50), "PNG")
    waits: list[float] = []

    async def visit(session: Session) -> None:
        start, before = time.monotonic(), session.finished
        await session.start()
        await session.until(lambda: SENTENCE in session.words() or session.finished > before)
        if SENTENCE in session.words():
            waits.append(time.monotonic() - start)

    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(Session(url))
        await first.upload(("first.png", photo))  # loads the networks
        sessions = [await stack.enter_async_context(Session(url)) for _ in range(visitors)]
        for session in sessions:
            await session.put(("crowd.png", photo))
        await asyncio.gather(*(visit(session) for session in sessions))
        await asyncio.sleep(PAUSE / 2)
        await first.click("Clear")
        await first.upload(("again.png", photo))
        answers_again = first.faces() > 0
    longest = max(waits, default=0.0)
    return [
        Bar(
            "Busy is said within 1 s",
            f"to {len(waits)} of {visitors}, the last after {longest:.2f} s",
            len(waits) > 0 and longest <= 1,
        ),
        Bar("Busy: it answers afterwards", "yes" if answers_again else "no", answers_again),
    ]


async def crowd_of_200(url: str, _: psutil.Process) -> list[Bar]:
    """A crowd of 200 through the page, with its heat maps."""
    async with Session(url) as session:
        await session.upload(("first.png", encode(crowd(1), "PNG")))  # loads the networks
        await session.click("Clear")
        start = time.monotonic()
        await session.upload(("crowd.png", encode(crowd(200), "PNG")))
        took = time.monotonic() - start
        capped = "The 50 largest faces are shown" in session.words()
    return [
        Bar("crowd of 200: 15 s", f"{took:.1f} s", took <= 15),
        Bar("crowd capped at 50, and said", "yes" if capped else "no", capped),
    ]


async def ownership(url: str, _: psutil.Process, users: int, photos: int) -> list[Bar]:
    """Users with watermarked photos, all at once."""
    found = await isolation.run(url, users, photos)
    figure = (
        f"{found.foreign} in {found.pictures} pictures of {found.photos} photos by {users} users; "
        f"{found.errors} errors injected, {found.busy} times told to wait, {found.marked} "
        "opened for marking"
    )
    return [Bar("ownership foreign pixels: 0", figure, found.foreign == 0 and found.own > 0)]
