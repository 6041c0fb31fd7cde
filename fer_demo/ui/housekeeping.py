"""Keeps garbage collections short and the process small.

Streamlit ends every run of a page and of a fragment with a full collection, during which no thread
of the process does anything. It looks at every object there is, and torch, timm and plotly bring
half a million that never go: a third of a second each time, and the Live page runs twice a second
for everybody who watches it. Objects that are frozen are not looked at. What is frozen and later
left over is not found either, so everything is thawed, collected and frozen again now and then.

Streamlit runs each visit in a thread of its own, and glibc gives threads heaps of their own, up to
eight a core, which keep what was freed in them: with many visitors memory grows though nothing
leaks. So there are few heaps, and what is free in them goes back to the system now and then.

Streamlit keeps the session of a closed tab for two minutes, but looks at the clock only when the
next tab closes: on a quiet server the last visitors' pictures would stay for days. So it is made to
look.

Streamlit deletes a file that it made for a download once two runs of anybody's page have ended.
With a dozen visitors that is before the browser comes for it, so such files are kept a little
longer.

When the process ends, Streamlit waits for no visit, but without end for an upload that stalls. A
thread that is inside a network then would abort the process, so those that run are waited for, a
little, and uploads no longer than that.

Streamlit lets every browser empty the caches of the whole process, though its menu offers that to
developers only. What is made once a process would then be made again: another worker, other places
for streams and pictures, another housekeeper. So that message is not obeyed.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from socket import socket
from typing import Any

import streamlit as st
import uvicorn
from streamlit import runtime
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.media_file_manager import MediaFileMetadata

FIRST_SECONDS = 15.0
"""After the first visit; by then its page has loaded what it needs."""

TICK_SECONDS = 5.0
"""The longest that what is free stays in the process, and a session beyond its time."""

AGAIN_SECONDS = 60.0
"""The longest that a session's last leftovers stay in memory."""

DOWNLOAD_SECONDS = 15.0
"""The least that a file made for a download stays, from the first run that would have marked it."""

LAST_SECONDS = 5.0
"""That the visits at hand have to end in when the process does: a busy machine takes so long for
many faces, and hosts give ten seconds and more."""

LAST_UPLOAD_SECONDS = 1
"""That uploads have before; uvicorn takes whole seconds."""

HEAPS = 2
"""Of glibc. One would make threads wait for each other."""

LARGE_BYTES = 1 << 18
"""What is larger gets memory of its own, which goes back to the system when it is freed. By itself
glibc raises this to the largest that was ever freed, up to 32 MB: then pictures are cut from its
heaps, and half a gigabyte of gaps stays there."""

_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3  # from glibc's malloc.h


_SETTLING = threading.Lock()


def settle() -> None:
    """Collect everything, and keep what is left out of the collections to come.

    Takes a third of a second.
    """
    with _SETTLING:  # of two at once, one would thaw what the other has just frozen
        gc.unfreeze()
        gc.collect()
        gc.freeze()
    give_back()


def give_back() -> None:
    """Give what is free back to the system, where the C library is glibc."""
    if glibc := _glibc():
        glibc.malloc_trim(0)


def forget_gone() -> None:
    """Let Streamlit give up the sessions whose time is over.

    It has no such function: only its own end of the next session does it.
    """
    if server := _server():
        with suppress(RuntimeError):  # the loop is closed: the process is about to end
            # The storage is not made for threads, so this happens on the thread that uses it.
            server.loop.call_soon_threadsafe(server.stored.expire)


def _empty_what_is_given_up() -> None:
    """Free a session's pictures when Streamlit gives it up, not when it is collected.

    It would be collected when what was frozen is thawed; and the last one is held by Streamlit's
    loop for as long as nobody comes.
    """
    server = _server()
    if server is None:
        return
    app, loop = server.app, server.loop

    def empty(session: Any) -> None:
        if not app.is_active_session(session.id):  # one that comes back leaves the storage as well
            session.shutdown()
            session.session_state.clear()
            session._fragment_storage.clear()  # fragments hold what they were called with

    def removed(_: str, info: Any) -> None:
        loop.call_soon_threadsafe(empty, info.session)

    server.stored._on_remove = removed


@dataclass(frozen=True)
class _Server:
    """The inside of Streamlit, as far as it is needed here."""

    app: Any
    loop: Any
    stored: Any
    """Sessions of closed tabs, a `TTLCache`."""


def _server() -> _Server | None:
    """None where a page runs without a server, or where another Streamlit has another inside: then
    sessions go when it gives them up. A test holds that the one installed is known."""
    try:
        app: Any = runtime.get_instance()
        stored = app._session_mgr._session_storage._cache
        return _Server(app, app._get_async_objs().eventloop, stored)
    except (AttributeError, RuntimeError):
        return None


@st.cache_resource(show_spinner=False)
def keep_house() -> None:
    """Settle from now on, now and then; once a process."""
    if glibc := _glibc():
        glibc.mallopt(_M_ARENA_MAX, HEAPS)
        glibc.mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
    atexit.register(_wait_for_visits)
    _bound_the_wait_for_uploads()
    _empty_what_is_given_up()
    _keep_downloads()
    _keep_caches()
    threading.Thread(target=_run, name="housekeeping", daemon=True).start()


def _run() -> None:
    time.sleep(FIRST_SECONDS)
    while True:
        settle()
        if server := _server():
            # A download is marked at the first time and deleted at the second.
            server.app.media_file_mgr.remove_orphaned_files()
        end = time.monotonic() + AGAIN_SECONDS
        while time.monotonic() < end:
            time.sleep(TICK_SECONDS)
            forget_gone()
            give_back()


def _keep_downloads() -> None:
    mark = MediaFileMetadata.mark_for_delete

    def mark_later(file: Any) -> None:
        now = time.monotonic()
        if now - file.__dict__.setdefault("asked_for_deletion", now) >= DOWNLOAD_SECONDS:
            mark(file)

    MediaFileMetadata.mark_for_delete = mark_later  # type: ignore[assignment, method-assign]


def _keep_caches() -> None:
    def refuse(_: AppSession) -> None:
        pass

    AppSession._handle_clear_cache_request = refuse  # type: ignore[assignment, method-assign]


def _wait_for_visits() -> None:
    end = time.monotonic() + LAST_SECONDS
    for thread in threading.enumerate():
        if thread.name.startswith("ScriptRunner"):
            thread.join(max(0.0, end - time.monotonic()))


def _bound_the_wait_for_uploads() -> None:
    """uvicorn asks its configuration when it shuts down; Streamlit has no setting for it."""
    shutdown = uvicorn.Server.shutdown

    async def in_time(server: uvicorn.Server, sockets: list[socket] | None = None) -> None:
        server.config.timeout_graceful_shutdown = LAST_UPLOAD_SECONDS
        await shutdown(server, sockets)

    uvicorn.Server.shutdown = in_time  # type: ignore[assignment, method-assign]


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "malloc_trim") else None
