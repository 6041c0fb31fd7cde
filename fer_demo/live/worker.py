"""The one inference worker of the process: of each stream the newest frame, the streams in turn.

Frames never queue. A stream has room for one frame; a newer one takes its place. So a slow machine
shows fewer frames, never older ones.
"""

from __future__ import annotations

import atexit
import logging
import threading
from typing import Protocol

LOG = logging.getLogger(__name__)


class Stream(Protocol):
    """What has a frame to be worked on."""

    def work(self) -> None:
        """Take the newest frame and leave its result; nothing where there is no new frame."""
        ...


class Worker:
    """A daemon thread that starts with the first frame; safe to share between threads."""

    def __init__(self) -> None:
        self._waiting: dict[int, Stream] = {}  # in the order in which they came
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def offer(self, stream: Stream) -> None:
        """Say that a stream has a new frame; it keeps its turn if it waits already."""
        with self._news:
            self._waiting.setdefault(id(stream), stream)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="live-worker", daemon=True)
                self._thread.start()
                # A thread that is inside a network when the process ends would abort it.
                atexit.register(self.stop)
            self._news.notify()

    def forget(self, stream: Stream) -> None:
        """Drop a stream that has ended."""
        with self._news:
            self._waiting.pop(id(stream), None)

    def stop(self) -> None:
        """Finish the frame at hand and end the thread."""
        with self._news:
            self._stopped = True
            self._news.notify()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while True:
            with self._news:
                while not self._waiting and not self._stopped:
                    self._news.wait()
                if self._stopped:
                    return
                stream = self._waiting.pop(next(iter(self._waiting)))
            try:
                stream.work()
            except Exception as error:
                # One stream's trouble must not stop the others; no pixels, no names in the log.
                LOG.error("A frame failed: %s", type(error).__name__)
            del stream  # the last reference to an ended stream must not wait for the next frame
