"""The log: one JSON object a line, of what was done and how long it took, and of nobody."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest

from fer_demo import log
from fer_demo.errors import BadImage
from fer_demo.images import read_photo
from tests.hostile.corpus import CANARY, NAMES, encode, exif_of, face, sample

FIELDS = {
    "time", "level", "event", "format", "bytes", "width", "height", "seconds", "error",
}  # fmt: skip

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What has been written since the last time."""
    log.to_stderr()
    log.to_stderr()
    (handler,) = log.LOG.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream := StringIO())

    def read() -> list[dict[str, Any]]:
        text = stream.getvalue()
        stream.truncate(stream.seek(0))
        return [json.loads(line) for line in text.splitlines()]

    yield read
    log.LOG.removeHandler(handler)
    log.LOG.setLevel(logging.NOTSET)
    log.LOG.propagate = True


def test_a_photo_leaves_its_format_size_and_time(lines: Lines) -> None:
    data = sample("PNG")
    read_photo(data, "holiday-with-anna.png")
    (line,) = lines()
    assert set(line) == FIELDS
    assert (line["event"], line["format"], line["bytes"]) == ("photo", "PNG", len(data))
    assert (line["width"], line["height"], line["error"]) == (64, 64, None)
    assert 0 <= line["seconds"] < 60


@pytest.mark.parametrize("data", [b"", b"GIF89a", sample("JPEG")[:300], b"\0" * 50])
def test_a_refusal_leaves_the_class_of_the_error(lines: Lines, data: bytes) -> None:
    with pytest.raises(BadImage):
        read_photo(data, "holiday-with-anna.png")
    (line,) = lines()
    assert line["error"] == "BadImage"


def test_no_name_and_nothing_of_the_picture_is_written(lines: Lines) -> None:
    data = encode(face(64), "JPEG", exif=exif_of(100))
    for name in NAMES:
        read_photo(data, name)
    with pytest.raises(BadImage):
        read_photo(CANARY, CANARY.decode())
    written = lines()
    assert len(written) == len(NAMES) + 1
    for line in written:
        assert set(line) <= FIELDS
        words = {value for value in line.values() if isinstance(value, str)} - {line["time"]}
        assert words <= {"info", "photo", "JPEG", "unknown", "BadImage"}


def test_a_line_of_another_part_of_the_package_is_json_too(lines: Lines) -> None:
    logging.getLogger("fer_demo.live.worker").error("A frame failed: %s", "ValueError")
    (line,) = lines()
    assert line["event"] == "A frame failed: ValueError"
    assert line["level"] == "error"
