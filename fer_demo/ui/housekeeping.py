"""Keeps Python's garbage collections short, so that video does not stand still for them.

Streamlit ends every run of a page and of a fragment with a full collection, during which no thread
of the process does anything. It looks at every object there is, and torch, timm and plotly bring
half a million that never go: a third of a second each time, and the Live page runs twice a second
for everybody who watches it. Objects that are frozen are not looked at. What is frozen and later
left over is not found either, so everything is thawed, collected and frozen again now and then.
"""

from __future__ import annotations

import gc
import threading
import time

import streamlit as st

FIRST_SECONDS = 15.0
"""After the first visit; by then its page has loaded what it needs."""

AGAIN_SECONDS = 300.0
"""The longest that a session's leftovers may stay in memory."""


def settle() -> None:
    """Collect everything, and keep what is left out of the collections to come."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


@st.cache_resource(show_spinner=False)
def keep_house() -> None:
    """Settle from now on, now and then; once a process."""
    threading.Thread(target=_run, name="housekeeping", daemon=True).start()


def _run() -> None:
    time.sleep(FIRST_SECONDS)
    while True:
        settle()
        time.sleep(AGAIN_SECONDS)
