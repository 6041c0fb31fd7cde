"""Collections are short, and what sessions leave is still found and given back."""

from __future__ import annotations

import asyncio
import gc
import platform
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.runtime.app_session import AppSession, AppSessionState
from streamlit.testing.v1 import AppTest

from fer_demo.ui import housekeeping, resources
from fer_demo.ui.housekeeping import settle
from tests.load.session import Session
from tests.server import serve
from tests.ui.conftest import TIMEOUT


class Leftover:
    """Holds itself, as sessions do through their callbacks."""

    def __init__(self) -> None:
        self.myself = self


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What pages of earlier tests started settles nothing meanwhile."""
    monkeypatch.setattr(housekeeping, "settle", lambda: None)
    yield
    gc.unfreeze()


def test_what_was_loaded_before_is_not_looked_at_again() -> None:
    settle()
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < 1_000


def test_what_a_session_leaves_goes_with_the_next_settling_at_the_latest() -> None:
    before = Leftover()
    settle()
    after = Leftover()
    gone = [weakref.ref(before), weakref.ref(after)]
    del before, after
    gc.collect()
    assert [ref() is None for ref in gone] == [False, True]
    settle()
    assert gone[0]() is None


def test_a_browser_cannot_empty_the_caches_of_the_process(app: AppTest) -> None:
    app.run()
    kept = resources.slots()
    visit = AppSession.__new__(AppSession)
    visit._state = AppSessionState.SHUTDOWN_REQUESTED  # there is nothing to shut down
    visit.handle_backmsg(BackMsg(clear_cache=True))
    assert resources.slots() is kept


QUIET = """
import sys
from streamlit.web import cli
from fer_demo.ui import housekeeping

housekeeping.FIRST_SECONDS = housekeeping.TICK_SECONDS = 1.0
sys.exit(cli.main(["run", "app.py", "--server.disconnectedSessionTTL=1", *sys.argv[1:]]))
"""


def test_a_visitor_is_forgotten_though_nobody_comes_after(yunet_file: Path, tmp_path: Path) -> None:
    async def story(url: str) -> None:
        async with Session(url, "example=one") as visitor:
            assert visitor.faces() == 1
            path, *_ = await visitor.look()
            await visitor.fetch(path)
        last, end = 200, time.monotonic() + TIMEOUT
        while last == 200 and time.monotonic() < end:
            await asyncio.sleep(0.1)
            last = (await asyncio.to_thread(visitor.http, "GET", path))[0].status
        assert last == 404

    with serve(tmp_path, yunet_file, start=("-c", QUIET)) as (url, _):
        asyncio.run(story(url))


def test_it_ends_quietly_with_the_server_whose_loop_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, expired = asyncio.new_event_loop(), []
    stored = SimpleNamespace(expire=lambda: expired.append(True))
    monkeypatch.setattr(housekeeping, "_server", lambda: housekeeping._Server(None, loop, stored))
    housekeeping.forget_gone()
    loop.run_until_complete(asyncio.sleep(0))
    assert expired == [True]
    loop.close()
    housekeeping.forget_gone()
    assert expired == [True]


def test_a_download_waits_for_its_browser_while_others_use_the_app(
    yunet_file: Path, tmp_path: Path
) -> None:
    async def story(url: str) -> None:
        async with Session(url, "example=one") as slow, Session(url) as other:
            path = await slow.made("CSV")
            for _ in range(4):  # Streamlit by itself deletes the file at the second of these
                await other.run()
            assert b"confidence" in await slow.fetch(path)

    with serve(tmp_path, yunet_file) as (url, _):
        asyncio.run(story(url))


HELD = """
import psutil
from fer_demo.ui import housekeeping
from fer_demo.ui.housekeeping import settle

settle()
used = lambda: psutil.Process().memory_info().rss / 1e6
blocks = [bytearray(60_000) for _ in range(2_000)]
kept = bytearray(60_000)  # the last of the heap, so what is free below it stays in the process
del blocks
before = used()
settle()
print(before - used())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_what_is_free_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 60
