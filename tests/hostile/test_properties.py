"""Whatever the bytes are, `read_photo` gives a photo or raises `BadImage`.

FER_FUZZ_EXAMPLES is the number of examples of each property: the default takes half a minute,
20000 takes ten.
"""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fer_demo.containers import Damaged, Unreasonable, bare, exif_orientation
from fer_demo.images import display_name
from fer_demo.types import Photo
from tests.hostile.corpus import FORMATS, chunk, sample
from tests.hostile.heif import box
from tests.hostile.limits import outcome, photo

EXAMPLES = int(os.environ.get("FER_FUZZ_EXAMPLES", "900"))
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="FER_FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)

STARTS = (
    b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\0\0\0WEBPVP8 ", b"GIF89a",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\0\0\0\x18ftypavif\0\0\0\0avifmif1",
)  # fmt: skip


@fuzz
@given(st.sampled_from(STARTS), st.binary(max_size=600))
def test_any_bytes(start: bytes, rest: bytes) -> None:
    outcome(start + rest)


edits = st.lists(
    st.tuples(
        st.sampled_from(("replace", "insert", "delete", "repeat")),
        st.floats(0, 1),
        st.binary(min_size=1, max_size=12),
    ),
    min_size=1,
    max_size=6,
)


def edited(data: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    for what, where, new in changes:
        at = int(where * len(data))
        if what == "replace":
            data = data[:at] + new + data[at + len(new) :]
        elif what == "insert":
            data = data[:at] + new + data[at:]
        elif what == "delete":
            data = data[:at] + data[at + 20 * len(new) :]
        else:
            data = data[:at] + data[at : at + 20 * len(new)] * 3 + data[at:]
    return data


@pytest.mark.parametrize("format", FORMATS)
@fuzz
@given(changes=edits)
def test_a_picture_with_several_edits(format: str, changes: list[tuple[str, float, bytes]]) -> None:
    outcome(edited(sample(format), changes))


def riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def segment(kind: bytes, body: bytes) -> bytes:
    return b"\xff" + kind[:1] + struct.pack(">H", len(body) + 2) + body


parts = st.lists(
    st.tuples(
        st.sampled_from(
            (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"acTL", b"fcTL", b"fdAT", b"eXIf", b"iCCP",
             b"VP8X", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"\xc0", b"\xc2", b"\xc4",
             b"\xda", b"\xdb", b"\xdd", b"\xe1", b"\xee", b"meta", b"moov", b"iloc", b"iinf")
        ),
        st.binary(max_size=40),
    ),
    max_size=5,
)  # fmt: skip


@fuzz
@given(st.sampled_from(FORMATS), parts, st.booleans())
def test_a_picture_with_well_formed_parts_added(
    format: str, added: list[tuple[bytes, bytes]], first: bool
) -> None:
    data = sample(format)
    make, start = {
        "PNG": (chunk, 33), "JPEG": (segment, 2), "WEBP": (riff, 12),
        "AVIF": (box, 0), "HEIC": (box, 0),
    }[format]  # fmt: skip
    more = b"".join(make(kind.ljust(4), body) for kind, body in added)
    whole = data[:start] + more + data[start:] if first else data[:-12] + more + data[-12:]
    if format == "WEBP":
        whole = b"RIFF" + struct.pack("<I", len(whole) - 8) + whole[8:]
    outcome(whole)


@fuzz
@given(st.sampled_from(STARTS), st.binary(max_size=300))
def test_taking_metadata_out_raises_two_things_only(start: bytes, rest: bytes) -> None:
    try:
        _, orientation = bare(start + rest)
    except (Damaged, Unreasonable):
        return
    assert 1 <= orientation <= 8


@fuzz
@given(st.sampled_from((b"", b"Exif\0\0", b"II*\0", b"MM\0*")), st.binary(max_size=200))
def test_an_orientation_is_read_from_any_bytes(start: bytes, rest: bytes) -> None:
    assert 1 <= exif_orientation(start + rest) <= 8


@pytest.mark.parametrize("format", FORMATS)
def test_taking_metadata_out_changes_no_pixel_and_is_done_once(format: str) -> None:
    data = sample(format)
    less, orientation = bare(data)
    assert (bare(less)[0], orientation) == (less, 1)
    assert np.array_equal(photo(less).rgb, photo(data).rgb)


@fuzz
@given(st.text(max_size=300))
def test_any_name_is_shown_as_a_short_line(name: str) -> None:
    shown = display_name(name)
    assert 0 < len(shown) <= 60
    assert shown.isprintable()
    assert "/" not in shown
    assert "\\" not in shown
    assert isinstance(outcome(sample("PNG"), shown), Photo)
