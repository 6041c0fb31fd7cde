"""The limit on streams that run at once. A place is held by frames, not by a browser session.

A killed tab tells nobody: the connection is given up after half a minute and the session after two.
Frames stop at once, so silence is what frees a place.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable

SILENCE_SECONDS = 5.0
"""Without a frame for this long a place is free again."""


class Places:
    """At most `limit` holders at a time; safe to share between threads."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic):
        self.limit = limit
        self._clock = clock
        self._seen: dict[Hashable, float] = {}
        self._lock = threading.Lock()

    def hold(self, holder: Hashable) -> bool:
        """Take a place or keep it; False where all are taken by others."""
        now = self._clock()
        with self._lock:
            self._forget_silent(now)
            if holder not in self._seen and len(self._seen) >= self.limit:
                return False
            self._seen[holder] = now
            return True

    def free(self, holder: Hashable) -> None:
        """Give the place back, if one is held."""
        with self._lock:
            self._seen.pop(holder, None)

    @property
    def taken(self) -> int:
        """Places held now."""
        with self._lock:
            self._forget_silent(self._clock())
            return len(self._seen)

    def sentence(self) -> str:
        """What a person reads who found no place."""
        places = (
            "The only live place is" if self.limit == 1 else f"All {self.limit} live places are"
        )
        return f"{places} taken. Try again in a minute, or take a snapshot on the Photo page."

    def _forget_silent(self, now: float) -> None:
        self._seen = {h: at for h, at in self._seen.items() if now - at < SILENCE_SECONDS}
