"""The Live page over real sockets and real WebRTC, without a browser: limits and failures.

The cameras here are small and slow, and nothing is asserted about speed but that nobody waits long
for a connection that cannot be had: on a machine whose cores are all taken the stories take longer
and end the same.
"""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.visitor import Film, Visitor
from tests.load.live import closest
from tests.server import serve
from tests.ui.conftest import LiveServer

PATIENCE = 180.0
"""Seconds until a test gives up; nobody waits for them where the machine is quiet."""


def camera(faces: int) -> Film:
    """A film that is little work: faces of 40 px and more at five frames a second."""
    return Film(faces, rate=5, width=320)


async def go_live(visitor: Visitor, film: Film) -> None:
    """Press START, and again where the machine was too busy to connect within the page's time."""
    for _ in range(4):
        await visitor.start(film)
        await visitor.until(lambda: not visitor.says("**Cannot connect.**"), PATIENCE)
        await visitor.until(
            lambda: visitor.says("**Live:**") or visitor.says("**Cannot connect.**"), PATIENCE
        )
        if visitor.says("**Live:**"):
            return
        await visitor.until(lambda: visitor.peer is None, PATIENCE)
    raise AssertionError("it never connected")


@pytest.fixture(scope="module")
def app(yunet_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One place, and little time."""
    folder = tmp_path_factory.mktemp("app")
    with serve(folder, yunet_file, FER_LIVE_PLACES="1", FER_LIVE_SECONDS="20") as (url, _):
        yield url


def test_places_are_few_and_a_killed_tab_frees_its_own(app: str) -> None:
    refused = camera(2)  # made before: the first stream may run for seconds only

    async def story() -> None:
        async with Visitor(app, page="live") as second:
            first = await Visitor(app, page="live").__aenter__()
            await go_live(first, camera(1))
            await second.start(refused)
            await second.until(lambda: second.says("The only live place is taken."), PATIENCE)
            await second.until(lambda: second.peer is None, PATIENCE)  # it was told to stop
            await first.leave(politely=False)
            await asyncio.sleep(6)
            await go_live(second, camera(2))
            await second.until(lambda: second.received > 3, PATIENCE)
            # A stream ends by itself, with a sentence and one click to go on.
            await second.until(lambda: second.says("Press START to go on."), PATIENCE)
            await second.until(lambda: second.peer is None, PATIENCE)
            await second.until(lambda: second.says("2 people in 0:"), PATIENCE)
            await go_live(second, camera(1))
            await second.stop()
            await second.until(lambda: second.says("**Ended:**"), PATIENCE)  # its place is free

    asyncio.run(story())


def test_without_a_connection_a_sentence_and_the_snapshot(app: str) -> None:
    film = camera(1)

    async def story() -> None:
        async with Visitor(app, page="live", deaf=True) as visitor:
            await visitor.until(lambda: visitor.says("**Ready:**"), PATIENCE)  # all is loaded
            await visitor.start(film)
            start = time.monotonic()  # the offer has left
            await visitor.until(lambda: visitor.says("No video arrived."), PATIENCE)
            assert 10 < time.monotonic() - start < 60  # 12 s, and what a busy machine adds
            await visitor.until(lambda: "camera_input" in visitor.kinds, PATIENCE)

    asyncio.run(story())


def bytes_written(process: int) -> int:
    """To any disk, by a process and since it started."""
    found = re.search(r"^write_bytes: (\d+)", Path(f"/proc/{process}/io").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def test_two_streams_see_their_own_people_only_and_leave_nothing_on_disk(
    live_server: LiveServer,
) -> None:
    """What is said and what is shown; until twelve more pictures came back to each."""
    films = camera(1), camera(3)
    url, process, _, temporary = live_server

    async def story() -> None:
        async with Visitor(url, page="live") as one, Visitor(url, page="live") as three:
            await go_live(one, films[0])
            await go_live(three, films[1])
            await one.until(lambda: one.says("1 person in view"), PATIENCE)
            await three.until(lambda: three.says("3 people in view"), PATIENCE)
            before = one.received, three.received
            written = bytes_written(process.pid)

            def seen_enough() -> bool:
                assert not one.says("people in view")
                assert not three.says("1 person in view")
                assert (closest(one, films), closest(three, films)) == (0, 1)
                return min(one.received - before[0], three.received - before[1]) >= 12

            await one.until(seen_enough, PATIENCE)
            await one.stop()
            await three.stop()
            await three.until(lambda: three.says("**Ended:**"), PATIENCE)
            # The smallest of the pictures would be 5 kB as a JPEG; a line in the log is less.
            assert bytes_written(process.pid) - written < 40_000
            assert list(temporary.iterdir()) == []

    asyncio.run(story())


def test_the_process_ends_in_the_middle_of_a_stream(live_server: LiveServer) -> None:
    """By itself and in order: a thread that is still inside a network would abort it."""
    url, process, folder, _ = live_server

    async def story() -> None:
        visitor = await Visitor(url, page="live").__aenter__()
        await go_live(visitor, camera(1))
        start = time.monotonic()
        process.terminate()
        while process.poll() is None:
            assert time.monotonic() - start < 30
            await asyncio.sleep(0.1)
        await visitor.leave(politely=False)

    asyncio.run(story())
    log = (folder / "server.log").read_text()
    assert process.returncode in (0, -signal.SIGTERM), log
    assert "fer_demo" not in log
    assert "Fatal Python error" not in log
