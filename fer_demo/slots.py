"""Places for work that keeps a processor core busy: reading a picture and analysing it.

As many run at a time as there are cores, a few more wait their turn, and whoever finds the queue
full is told so at once. That also bounds the memory that large pictures take together. Live video
takes no place: its one worker thread shares the cores with these as the operating system decides,
so neither waits for the other.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fer_demo.errors import Busy

QUEUE = 8
"""Waiting for each place. A photo takes about a third of a second, so the last waits about 3 s."""

PATIENCE = 10.0
"""Seconds after which a wait is given up."""

SENTENCE = "Many pictures are being analysed at the moment. Try again in a few seconds."


class Slots:
    """At most `count` at a time, and `waiting` in the queue; safe to share between threads."""

    def __init__(self, count: int, waiting: int | None = None, patience: float = PATIENCE):
        self._places = threading.BoundedSemaphore(count)
        self._limit = count + (QUEUE * count if waiting is None else waiting)
        self._patience = patience
        self._inside = 0
        self._lock = threading.Lock()

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold a place during the block; it is free again however the block ends.

        Raises:
            Busy: the queue is full, or its turn did not come in time.
        """
        with self._lock:
            if self._inside >= self._limit:
                raise Busy(SENTENCE)
            self._inside += 1
        try:
            if not self._places.acquire(timeout=self._patience):
                raise Busy(SENTENCE)
            try:
                yield
            finally:
                self._places.release()
        finally:
            with self._lock:
                self._inside -= 1

    @property
    def taken(self) -> int:
        """Places held and waited for now."""
        with self._lock:
            return self._inside
