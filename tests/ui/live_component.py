"""A stand-in for the component of the Live page, which says that START or STOP was pressed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import streamlit as st
from streamlit.testing.v1 import AppTest

from fer_demo.live.session import LiveSession

LIVE = "fer_demo/ui/live.py"
PHOTO = "fer_demo/ui/photo.py"


class Component:
    """Stands in for `webrtc_streamer` and for the context that it leaves in the session."""

    def __init__(self) -> None:
        self.state = SimpleNamespace(playing=False, signalling=False)
        """As the browser's last message says, which comes before a run."""
        self.left = False
        """Whether the page was left: the stream ends, and is forgotten when rendered again."""
        self.fails: Exception | None = None
        self.told: dict[str, Any] = {}
        """What the page told it last."""

    def __call__(self, **told: Any) -> Component:
        self.told = told
        if self.left or told["key"] not in st.session_state:
            self.state.playing = self.left = False
        st.session_state[told["key"]] = self
        if self.fails and self.state.playing:
            raise self.fails
        return self


def session(app: AppTest) -> LiveSession:
    return app.session_state["live-session"]


def press(app: AppTest, component: Component, start: bool = True) -> AppTest:
    """START or STOP."""
    component.state.playing = start
    return app.run()


def status(app: AppTest) -> str:
    """The status line."""
    starts = ("**Ready", "**Connecting", "**Live", "**Ended", "**Cannot", "**No free")
    return next(m.value for m in app.markdown if m.value.startswith(starts))
