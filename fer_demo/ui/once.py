"""Things that all sessions share, made once a process while the first visitor sees progress."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Generic, TypeVar

from fer_demo.hub import Progress

T = TypeVar("T")


class Once(Generic[T]):
    """A function whose result is kept for each of its arguments; whoever asks meanwhile waits.

    Not `st.cache_resource`: that repeats to every later caller what was drawn while the thing was
    made, here progress on a page that is gone, and fails. An error is raised and not kept.
    """

    def __init__(self, make: Callable[..., T]):
        self.__doc__ = make.__doc__
        self._make = make
        self._made: dict[tuple[str, ...], T] = {}
        self._locks: defaultdict[tuple[str, ...], threading.Lock] = defaultdict(threading.Lock)

    def __call__(self, *names: str, progress: Progress | None = None) -> T:
        """`progress` is told of a download, where it comes to one."""
        with self._locks[names]:
            if names not in self._made:
                self._made[names] = self._make(*names, progress=progress)
            return self._made[names]

    def clear(self) -> None:
        """Make everything anew."""
        self._made.clear()
