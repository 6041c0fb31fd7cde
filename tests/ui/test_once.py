"""What all sessions share is made once, whoever comes first, and later visitors see it at once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from streamlit.testing.v1 import AppTest

from fer_demo.hub import Progress
from fer_demo.ui.once import Once
from tests.ui.conftest import TIMEOUT


def test_who_asks_meanwhile_waits_and_gets_the_same() -> None:
    made: list[str] = []

    @Once
    def thing(name: str, progress: Progress | None) -> object:
        time.sleep(0.05)
        made.append(name)
        return object()

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(lambda _: thing("a"), range(4))
    assert all(other is first for other in others)
    assert thing("b") is not first
    assert made == ["a", "b"]
    thing.clear()
    assert thing("a") is not first


def test_a_failure_is_told_and_tried_again() -> None:
    answers = iter([OSError("gone"), "there"])

    @Once
    def thing(progress: Progress | None) -> str:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    with pytest.raises(OSError, match="gone"):
        thing()
    assert thing() == "there"
    assert thing() == "there"


def test_who_goes_away_does_not_end_what_is_made() -> None:
    made: list[str] = []
    goes_on = threading.Event()

    @Once
    def thing(progress: Progress) -> str:
        progress(1, 2)
        assert goes_on.wait(TIMEOUT)
        made.append("once")
        return "made"

    def leave(done: int, total: int) -> None:
        raise InterruptedError(f"{done} of {total}")

    with pytest.raises(InterruptedError, match="1 of 2"):
        thing(progress=leave)
    goes_on.set()
    assert thing() == "made"
    assert made == ["once"]


def page() -> None:
    """Draws progress while a thing is made, as the Photo page does."""
    import streamlit as st

    from fer_demo.ui.once import Once

    def make(progress):
        progress(1, 2)
        return "made"

    thing = st.session_state.setdefault("thing", Once(make))
    bar = st.progress(0.0)
    st.text(thing(progress=lambda done, total: bar.progress(done / total)))
    bar.empty()


def test_later_runs_of_a_page_do_not_repeat_the_first_ones_progress() -> None:
    app = AppTest.from_function(page, default_timeout=TIMEOUT).run()
    app.run()
    assert not app.exception
    assert app.text[0].value == "made"
