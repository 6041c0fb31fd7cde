"""What a case may cost, and the two outcomes it may have."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fer_demo.errors import BadImage
from fer_demo.images import read_photo
from fer_demo.types import Photo

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _peak_mb() -> float:
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


@contextmanager
def within(seconds: float, megabytes: float | None = None) -> Iterator[None]:
    """Fail where the block takes more processor time, or more memory at its peak, than this.

    Processor time, of all threads, because other work on the machine must not decide a test. Memory
    is measured on Linux only.
    """
    before = None
    if megabytes is not None and _RESET.exists():
        _RESET.write_text("5")  # the peak starts again from what is in use now
        before = _peak_mb()
    start = time.process_time()
    yield
    took = time.process_time() - start
    assert took <= seconds, f"{took:.2f} s, and {seconds} s are allowed"
    if before is not None and megabytes is not None:
        more = _peak_mb() - before
        assert more <= megabytes, f"+{more:.0f} MB, and {megabytes} MB are allowed"


def outcome(data: bytes, name: str = "x.jpg", seconds: float = 2.0) -> Photo | str:
    """The photo, or the sentence that refuses it; anything else fails."""
    start = time.process_time()
    try:
        result: Photo | str = read_photo(data, name)
    except BadImage as error:
        result = str(error)
        assert result.startswith(f"{name} was not read: ")
        assert result.endswith(".")
        assert result.isprintable()
        assert len(result) < 250
    took = time.process_time() - start
    assert took <= seconds, f"{took:.2f} s, and {seconds} s are allowed"
    return result


def refusal(data: bytes, name: str = "x.jpg", seconds: float = 2.0) -> str:
    """The sentence that refuses it."""
    result = outcome(data, name, seconds)
    assert isinstance(result, str), "it was read"
    return result


def photo(data: bytes, name: str = "x.jpg", seconds: float = 2.0) -> Photo:
    """The photo that it is."""
    result = outcome(data, name, seconds)
    assert isinstance(result, Photo), result
    return result
