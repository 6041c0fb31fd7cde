"""HEIC files made by code: x265 (through PyAV) codes the pixels, the container is written here.

ISO/IEC 14496-12 (boxes), 14496-15 (hvcC) and 23008-12 (items and their properties).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np


def box(kind: bytes, *parts: bytes, full: int | None = None) -> bytes:
    """A box; `full` is the version and flags of a full box."""
    body = b"".join(parts)
    if full is not None:
        body = struct.pack(">I", full) + body
    return struct.pack(">I", len(body) + 8) + kind + body


@dataclass(frozen=True)
class Item:
    """Something in the file."""

    kind: bytes
    data: bytes
    properties: tuple[int, ...] = ()
    """Numbers of its properties, from 1."""
    hidden: bool = False


def container(
    items: Sequence[Item],
    properties: Sequence[bytes],
    primary: int = 1,
    references: Sequence[tuple[bytes, int, Sequence[int]]] = (),
    brand: bytes = b"heic",
) -> bytes:
    """A file of numbered items, from 1. Items with equal data share it.

    Args:
        references: kind, from which item, to which items.
    """
    places: dict[bytes, int] = {}
    stored = b""
    for item in items:
        if item.data not in places:
            places[item.data] = len(stored)
            stored += item.data
    count = struct.pack(">H", len(items))
    entries = [
        box(b"infe", struct.pack(">HH", n, 0), item.kind + b"\0", full=(2 << 24) | item.hidden)
        for n, item in enumerate(items, 1)
    ]
    links = [
        box(kind, struct.pack(f">HH{len(to)}H", start, len(to), *to))
        for kind, start, to in references
    ]
    used = b"".join(
        struct.pack(">HB", n, len(item.properties)) + bytes(item.properties)
        for n, item in enumerate(items, 1)
    )

    def meta(offset: int) -> bytes:
        where = b"".join(
            struct.pack(">HHHII", n, 0, 1, offset + places[item.data], len(item.data))
            for n, item in enumerate(items, 1)
        )
        return box(
            b"meta",
            box(b"hdlr", bytes(4), b"pict", bytes(13), full=0),
            box(b"pitm", struct.pack(">H", primary), full=0),
            box(b"iloc", b"\x44\0", count, where, full=0),
            box(b"iinf", count, *entries, full=0),
            box(b"iref", *links, full=0) if links else b"",
            box(
                b"iprp",
                box(b"ipco", *properties),
                box(b"ipma", struct.pack(">I", len(items)), used, full=0),
            ),
            full=0,
        )

    start = box(b"ftyp", brand, bytes(4), b"mif1", brand)
    return start + meta(len(start) + len(meta(0)) + 8) + box(b"mdat", stored)


def size_of(width: int, height: int) -> bytes:
    """The property that claims a size."""
    return box(b"ispe", struct.pack(">II", width, height), full=0)


def coded(rgb: np.ndarray) -> tuple[bytes, bytes]:
    """An HEVC picture, and the property (hvcC) with which it is decoded."""
    height, width = rgb.shape[:2]
    context = av.CodecContext.create("libx265", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base = Fraction(1, 1)
    settings = "log-level=none:keyint=1:pools=1:frame-threads=1:range=full:info=0"
    context.options = {"x265-params": settings, "crf": "14", "preset": "ultrafast"}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_color_range="JPEG")
    stream = b"".join(bytes(p) for p in [*context.encode(frame), *context.encode(None)])
    units = [unit for unit in re.split(b"\0\0\0?\1", stream) if unit]
    tables = [unit for unit in units if 32 <= unit[0] >> 1 <= 34]  # VPS, SPS, PPS
    slices = [unit for unit in units if unit[0] >> 1 < 32]
    profile = tables[1][3:15]
    record = b"\1" + profile + struct.pack(">HBBBBHB", 0xF000, 0xFC, 0xFD, 0xF8, 0xF8, 0, 15)
    record += bytes([len(tables)])
    for unit in tables:
        record += struct.pack(">BHH", 0x80 | unit[0] >> 1, 1, len(unit)) + unit
    data = b"".join(struct.pack(">I", len(unit)) + unit for unit in slices)
    return data, box(b"hvcC", record)


def heic(rgb: np.ndarray, *more: bytes, claims: tuple[int, int] | None = None) -> bytes:
    """A picture as a HEIC file.

    Args:
        more: further properties, such as a turn.
        claims: the (width, height) to claim, if it is not the true one.
    """
    data, decoder = coded(rgb)
    size = claims or (rgb.shape[1], rgb.shape[0])
    properties = (decoder, size_of(*size), *more)
    item = Item(b"hvc1", data, tuple(range(1, len(properties) + 1)))
    return container([item], properties)


def sharing_one_exif(pictures: int, exif_bytes: int) -> bytes:
    """Many pictures that are one, each with the same large block of EXIF."""
    data, decoder = coded(np.full((64, 64, 3), 128, np.uint8))
    exif = struct.pack(">I", 6) + b"Exif\0\0II*\0\x08\0\0\0" + bytes(exif_bytes)
    items = [Item(b"hvc1", data, (1, 2))] * pictures + [Item(b"Exif", exif)]
    everyone = range(1, pictures + 1)
    return container(
        items, (decoder, size_of(64, 64)), references=[(b"cdsc", pictures + 1, everyone)]
    )


def grid(tile: int, rows: int, columns: int, size: tuple[int, int]) -> bytes:
    """A picture of grey tiles, `tile` px square, of which `size` (width, height) is shown."""
    data, decoder = coded(np.full((tile, tile, 3), 128, np.uint8))
    tiles = rows * columns
    layout = bytes([0, 1, rows - 1, columns - 1]) + struct.pack(">II", *size)
    return container(
        [*[Item(b"hvc1", data, (1, 2), hidden=True)] * tiles, Item(b"grid", layout, (3,))],
        (decoder, size_of(tile, tile), size_of(*size)),
        primary=tiles + 1,
        references=[(b"dimg", tiles + 1, range(1, tiles + 1))],
    )
