"""Places for work that keeps a processor core busy: reading a picture, analysing it, encoding it.

As many run at a time as there are cores, a few more wait their turn, and whoever finds the queue
full is told so at once. Whoever was let in is served to the end of the visit: the files of one
upload, a run of the page, which analyses pictures and draws their maps, or other maps of all faces.
To be refused half way would have cost the visitor all of the wait. That also bounds the memory that
large pictures take together. Whoever downloads what the page found waits, but is not refused.
Live video takes no place: its one worker thread shares the cores with these as the operating system
decides, so neither waits for the other.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fer_demo.errors import Busy

QUEUE = 8
"""Waiting for each place. A photo takes about a third of a second, so the last waits about 3 s."""

PATIENCE = 60.0
"""Seconds after which a wait is given up; all who may be waiting had their turn long before."""

SENTENCE = "Many pictures are being analysed at the moment. Try again in a few seconds."


class Slots:
    """At most `count` at a time, and `waiting` in the queue; safe to share between threads."""

    def __init__(self, count: int, waiting: int | None = None, patience: float = PATIENCE):
        self._places = threading.BoundedSemaphore(count)
        self._limit = count + (QUEUE * count if waiting is None else waiting)
        self._patience = patience
        self._inside = 0
        self._lock = threading.Lock()
        self._visit = _Visit()

    @contextmanager
    def visit(self, *, let_in: bool = False) -> Iterator[None]:
        """What this thread takes in the block is one visit: only the first may find a full queue.

        A visit inside another is part of it, and ends with the outermost: a part of the page opens
        its own, since it also runs by itself. Who was refused may ask again in the same block.

        Args:
            let_in: not even the first, since the visit goes on from a place held a moment ago.
        """
        self._visit.depth += 1
        if let_in and not self._visit.inside:
            self._enter(refuse=False)
        try:
            yield
        finally:
            self._visit.depth -= 1
            if self._visit.inside and not self._visit.depth:
                self._leave()

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold a place during the block; it is free again however the block ends.

        Raises:
            Busy: the queue is full, or its turn did not come in time.
        """
        if not self._visit.inside:
            self._enter()
        try:
            if not self._places.acquire(timeout=self._patience):
                raise Busy(SENTENCE)
            try:
                yield
            finally:
                self._places.release()
        finally:
            if not self._visit.depth:
                self._leave()

    def _enter(self, *, refuse: bool = True) -> None:
        with self._lock:
            if refuse and self._inside >= self._limit:
                raise Busy(SENTENCE)
            self._inside += 1
        self._visit.inside = True

    def _leave(self) -> None:
        self._visit.inside = False
        with self._lock:
            self._inside -= 1

    @property
    def taken(self) -> int:
        """Places held and waited for now, and visits that go on."""
        with self._lock:
            return self._inside


class _Visit(threading.local):
    """Of one thread."""

    depth = 0
    """Blocks of `visit` around what runs now."""
    inside = False
