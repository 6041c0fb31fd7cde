"""Ways in which a run ends early, its last good checkpoint intact."""

from __future__ import annotations

import signal

from fer_demo.errors import FerDemoError


class TrainingStopped(FerDemoError):
    """Training cannot go on; the message is what a person reads.

    `advice` is the part of it on how `training.train` goes on, which other commands replace.
    """

    def __init__(self, happened: str, advice: str = ""):
        super().__init__(f"{happened} {advice}".rstrip())
        self.happened, self.advice = happened, advice


class Diverged(TrainingStopped):
    """The loss is not a number any more."""


class Stop:
    """Notes SIGINT and SIGTERM, so that a run ends between two steps."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: object) -> None:
        self.asked = True
