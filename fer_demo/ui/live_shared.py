"""What all live streams of the process share. A module of its own: a page is run anew each time."""

from __future__ import annotations

import os
from functools import partial

import streamlit as st

from fer_demo.faces import LIVE_SIDES, FaceDetector, load_detector
from fer_demo.live.places import Places
from fer_demo.live.turn import Relays, ice_servers
from fer_demo.live.worker import Worker
from fer_demo.ui import housekeeping, resources


@st.cache_resource(show_spinner=False)
def worker() -> Worker:
    """The one of this process."""
    return Worker()


@st.cache_resource(show_spinner=False)
def places() -> Places:
    """The streams that may run at once, of all sessions together."""
    return Places(resources.settings().live_places)


@st.cache_resource(show_spinner=False)
def live_detector() -> FaceDetector:
    """One of its own: a large photo would hold up every frame while it is searched."""
    return load_detector(resources.settings(), sides=LIVE_SIDES)


@st.cache_resource(show_spinner=False)
def settle(after: str) -> None:
    """Once after each thing that loads modules or a network, see `housekeeping`."""
    housekeeping.settle()


@st.cache_resource(show_spinner=False)
def relays() -> Relays:
    """What new streams connect through."""
    return Relays(partial(ice_servers, os.environ, resources.settings().live_seconds))
