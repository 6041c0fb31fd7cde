"""Things that all sessions share, made once a process while the first visitor sees progress."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from typing import Generic, TypeVar

from fer_demo.hub import Progress

T = TypeVar("T")

TELL_EVERY = 0.1
"""Seconds between two looks at how far a thing is."""


class Once(Generic[T]):
    """A function whose result is kept for each of its arguments; whoever asks meanwhile waits.

    Not `st.cache_resource`: that repeats to every later caller what was drawn while the thing was
    made, here progress on a page that is gone, and fails. An error is raised and not kept.
    """

    def __init__(self, make: Callable[..., T]):
        self.__doc__ = make.__doc__
        self._make = make
        self._made: dict[tuple[str, ...], _Making[T]] = {}
        self._lock = threading.Lock()

    def __call__(self, *names: str, progress: Progress | None = None) -> T:
        """`progress` is told of a download, where it comes to one."""
        with self._lock:
            making = self._made.get(names)
            if making is None or making.failed:
                making = self._made[names] = _Making(partial(self._make, *names))
        return making.wait(progress)

    def clear(self) -> None:
        """Make everything anew."""
        with self._lock:
            self._made.clear()


class _Making(Generic[T]):
    """A thing that a thread of its own makes.

    Streamlit ends a script where it draws when its visitor clicks or leaves; a download would end
    with it, and start from nothing for the next one.
    """

    def __init__(self, make: Callable[..., T]):
        self._made: Future[T] = Future()
        self._far: tuple[int, int] | None = None
        threading.Thread(target=self._run, args=(make,), daemon=True).start()

    @property
    def failed(self) -> bool:
        return self._made.done() and self._made.exception() is not None

    def wait(self, progress: Progress | None) -> T:
        told = None
        while not self._made.done():
            wait([self._made], TELL_EVERY)
            if progress is not None and self._far is not None and self._far != told:
                told = self._far
                progress(*told)
        return self._made.result()

    def _run(self, make: Callable[..., T]) -> None:
        try:
            self._made.set_result(make(progress=self._tell))
        except BaseException as error:  # raised where it is waited for
            self._made.set_exception(error)

    def _tell(self, done: int, total: int) -> None:
        self._far = (done, total)
