"""Keeps garbage collections short and the process small.

Streamlit ends every run of a page and of a fragment with a full collection, during which no thread
of the process does anything. It looks at every object there is, and torch, timm and plotly bring
half a million that never go: a third of a second each time, and the Live page runs twice a second
for everybody who watches it. Objects that are frozen are not looked at. What is frozen and later
left over is not found either, so everything is thawed, collected and frozen again now and then.

Streamlit runs each visit in a thread of its own, and glibc gives threads heaps of their own, up to
eight a core, which keep what was freed in them: with many visitors memory grows though nothing
leaks. So there are few heaps, and what is free in them goes back to the system now and then.

When the process ends, Streamlit waits for no visit. A thread that is inside a network then would
abort the process, so those that run are waited for, a little.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import sys
import threading
import time

import streamlit as st

FIRST_SECONDS = 15.0
"""After the first visit; by then its page has loaded what it needs."""

AGAIN_SECONDS = 300.0
"""The longest that a session's leftovers may stay in memory."""

LAST_SECONDS = 3.0
"""That the visits at hand have to end in when the process does."""

HEAPS = 2
"""Of glibc. One would make threads wait for each other."""

_M_ARENA_MAX = -8  # from glibc's malloc.h


def settle() -> None:
    """Collect everything, keep what is left out of the collections to come, and give back memory.

    Takes a third of a second. Memory is given back where the C library is glibc.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    if glibc := _glibc():
        glibc.malloc_trim(0)


@st.cache_resource(show_spinner=False)
def keep_house() -> None:
    """Settle from now on, now and then; once a process."""
    if glibc := _glibc():
        glibc.mallopt(_M_ARENA_MAX, HEAPS)
    atexit.register(_wait_for_visits)
    threading.Thread(target=_run, name="housekeeping", daemon=True).start()


def _run() -> None:
    time.sleep(FIRST_SECONDS)
    while True:
        settle()
        time.sleep(AGAIN_SECONDS)


def _wait_for_visits() -> None:
    end = time.monotonic() + LAST_SECONDS
    for thread in threading.enumerate():
        if thread.name.startswith("ScriptRunner"):
            thread.join(max(0.0, end - time.monotonic()))


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "malloc_trim") else None
