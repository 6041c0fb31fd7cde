"""Callbacks that keep nothing in memory.

Streamlit holds what a widget's callback was given until the session ends: long after the widget is
gone, and after a "Clear" that says everything is.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any


def weakly(call: Callable[..., Any], *things: object) -> Callable[[], None]:
    """A callback that calls with the things, for as long as somebody else holds them all."""
    held = [weakref.ref(thing) for thing in things]

    def callback() -> None:
        there = [ref() for ref in held]
        if all(thing is not None for thing in there):
            call(*there)

    return callback
