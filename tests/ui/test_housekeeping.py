"""Collections are short, and what sessions leave is still found."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from fer_demo.ui.housekeeping import settle


class Session:
    """Holds itself, as sessions do through their callbacks."""

    def __init__(self) -> None:
        self.myself = self


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_was_loaded_before_is_not_looked_at_again() -> None:
    settle()
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < 1_000


def test_what_a_session_leaves_goes_with_the_next_settling_at_the_latest() -> None:
    before = Session()
    settle()
    after = Session()
    gone = [weakref.ref(before), weakref.ref(after)]
    del before, after
    gc.collect()
    assert [ref() is None for ref in gone] == [False, True]
    settle()
    assert gone[0]() is None
