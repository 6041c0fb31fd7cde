"""What a decoder gets to see of a file: the parts that make its pixels, and nothing else.

Texts, colour profiles, EXIF, thumbnails, later frames and whatever follows the picture are taken
out first. That is where names and places stand, and where small files make decoders slow or large:
19 MB of compressed profiles in a PNG cost 40 s, 20 kB of empty scans in a JPEG 13 s, and a HEIC of
8 MB whose 400 pictures share one EXIF block 3 GB. What cannot be taken out is counted and limited.

JPEG: ITU-T T.81, annex B. PNG: https://www.w3.org/TR/png-3/. WebP: RFC 9649. HEIC and AVIF:
ISO/IEC 14496-12 and 23008-12.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

MAX_PARTS = 50_000
"""Segments, chunks or boxes of one file; 20 MB in chunks of 1 kB have 20,000."""
MAX_SCANS = 50
"""Of a JPEG: each costs a pass over all pixels. Progressive ones have about 10."""
MAX_ITEM_PIXELS = 256_000_000
"""Of all pictures, tiles and thumbnails in one HEIC or AVIF together."""
MAX_META = 1_000_000
"""Bytes that describe the items of a HEIC or AVIF; 48 megapixels in tiles need 20,000."""


class Damaged(Exception):
    """The file is cut short or contradicts itself."""


class Unreasonable(Exception):
    """The file is built so that reading it would take too long."""


def bare(data: bytes) -> tuple[bytes, int]:
    """The file without metadata, and its EXIF orientation (1 to 8; 1 where it has none).

    HEIC and AVIF turn their pictures by a property of the container, which stays; their EXIF
    orientation is for information only. Files of other formats are returned as they are.

    Raises:
        Damaged: what is there does not lead to pixels.
        Unreasonable: a limit above is exceeded.
    """
    try:
        if data.startswith(b"\xff\xd8\xff"):
            return _bare_jpeg(data)
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _bare_png(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _bare_webp(data)
        if data[4:8] == b"ftyp":
            return _bare_heif(data), 1
    except (struct.error, IndexError):
        raise Damaged from None
    return data, 1


def exif_orientation(exif: bytes) -> int:
    """The orientation in a block of EXIF, 1 where there is none that can be read."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, entry)
            if (tag, kind) == (0x0112, 3):
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


# --- JPEG -----------------------------------------------------------------------------------------

_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""Neither a stuffed byte nor a restart, which belong to the pixels."""
_SOI, _EOI, _SOS, _APP0, _APP1, _APP14 = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xEE
_JPEG_PIXELS = {*range(0xC0, 0xE0)} - {0xC8, _SOI, _EOI}
"""Frames, tables, scans. JFIF's and Adobe's segments stay too: they say how colours are coded."""


def _bare_jpeg(data: bytes) -> tuple[bytes, int]:
    kept, orientation, scans, at = [data[:2]], 1, 0, 2
    for _ in range(MAX_PARTS):
        found = _MARKER.search(data, at)
        if scans:
            kept.append(data[at : found.start() if found else len(data)])
        if found is None or found[1][0] == _EOI:
            break
        code, at = found[1][0], found.end()
        if code in (0x01, _SOI):  # these two have no length
            continue
        end = at + struct.unpack_from(">H", data, at)[0]
        body = data[at + 2 : end]
        if (
            code in _JPEG_PIXELS
            or (code == _APP0 and body.startswith(b"JFIF\0"))
            or (code == _APP14 and body.startswith(b"Adobe"))
        ):
            kept.append(data[found.start() : end])
        elif code == _APP1 and body.startswith(b"Exif\0\0") and orientation == 1:
            orientation = exif_orientation(body)
        scans += code == _SOS
        at = end
        if scans > MAX_SCANS:
            raise Unreasonable
    else:
        raise Unreasonable
    if found is not None:  # else it is cut short, and must not look complete
        kept.append(b"\xff\xd9")
    return b"".join(kept), orientation


# --- PNG ------------------------------------------------------------------------------------------


def _bare_png(data: bytes) -> tuple[bytes, int]:
    kept, orientation, at = [data[:8]], 1, 8
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            break
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + size
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            kept.append(data[at:end])
        elif kind == b"eXIf" and orientation == 1:
            orientation = exif_orientation(data[at + 8 : end - 4])
        at = end
        if kind == b"IEND":
            break
    else:
        raise Unreasonable
    return b"".join(kept), orientation


# --- WebP -----------------------------------------------------------------------------------------

_WEBP_ONCE = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF")
"""The first of each: of an animation one frame."""
_WEBP_HAS_ALPHA_OR_MOVES = 0x12


def _bare_webp(data: bytes) -> tuple[bytes, int]:
    kept: dict[bytes, bytes] = {}
    orientation, at = 1, 12
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            break
        kind, size = struct.unpack_from("<4sI", data, at)
        end = at + 8 + size + size % 2
        if kind in _WEBP_ONCE and kind not in kept:
            kept[kind] = data[at:end]
        elif kind == b"EXIF" and orientation == 1:
            orientation = exif_orientation(data[at + 8 : at + 8 + size])
        at = end
    else:
        raise Unreasonable
    if len(extended := kept.get(b"VP8X", b"")) > 8:  # it tells what there is; that is less now
        flags = bytes([extended[8] & _WEBP_HAS_ALPHA_OR_MOVES])
        kept[b"VP8X"] = extended[:8] + flags + extended[9:]
    body = b"WEBP" + b"".join(kept.values())
    return b"RIFF" + struct.pack("<I", len(body)) + body, orientation


# --- HEIC and AVIF --------------------------------------------------------------------------------

_HIDDEN = ((b"cdsc", b"free"), (b"colrprof", b"freeprof"), (b"colrrICC", b"freerICC"))
"""References from metadata to pictures, and colour profiles. They are renamed, not taken out: the
boxes hold each other's places in the file."""


def _bare_heif(data: bytes) -> bytes:
    kept, described = bytearray(data), 0
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"meta":
            described += end - start
            if described > MAX_META:
                raise Unreasonable
            _check_items(data, start + 4, end)
        if kind in (b"meta", b"moov"):
            inside = data[start:end]
            for name, other in _HIDDEN:
                inside = inside.replace(name, other)
            kept[start:end] = inside
    return bytes(kept)


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each box between two places, and where what is in it starts and ends."""
    for _ in range(MAX_PARTS):
        if at + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        elif size == 0:
            size = end - at
        if size < start - at:
            return
        yield kind, start, min(at + size, end)
        at += size
    raise Unreasonable


def _check_items(data: bytes, at: int, end: int) -> None:
    """Add up the pixels of all items: a grid of 64 x 64 px may stand for a thousand large tiles."""
    pictures: list[int] = []
    areas: dict[int, int] = {}
    for kind, start, stop in _boxes(data, at, end):
        if kind == b"iinf":
            entries = start + (8 if data[start] else 6)
            for name, item, _ in _boxes(data, entries, stop):
                wide = data[item] >= 3
                number, _, type_ = struct.unpack_from(">IH4s" if wide else ">HH4s", data, item + 4)
                if name == b"infe" and type_ not in (b"Exif", b"mime", b"uri "):
                    pictures.append(number)
        elif kind == b"iprp":
            areas |= _item_areas(data, start, stop)
    unknown = max(areas.values(), default=0)
    if sum(areas.get(number, unknown) for number in pictures) > MAX_ITEM_PIXELS:
        raise Unreasonable


def _item_areas(data: bytes, at: int, end: int) -> dict[int, int]:
    """Pixels of each item that has a size."""
    sizes: dict[int, int] = {}  # by the number of the property, from 1
    areas: dict[int, int] = {}
    for kind, start, stop in _boxes(data, at, end):
        if kind == b"ipco":
            for number, (name, first, _) in enumerate(_boxes(data, start, stop), 1):
                if name == b"ispe":
                    width, height = struct.unpack_from(">II", data, first + 4)
                    sizes[number] = width * height
        elif kind == b"ipma":
            version, wide = data[start], data[start + 3] & 1
            (count,) = struct.unpack_from(">I", data, start + 4)
            place = start + 8
            for _ in range(min(count, MAX_PARTS)):
                item, used = struct.unpack_from(">IB" if version else ">HB", data, place)
                place += 5 if version else 3
                if place + used * (2 if wide else 1) > stop:  # it would read on through the file
                    raise Damaged
                for _ in range(used):
                    number = struct.unpack_from(">H" if wide else ">B", data, place)[0]
                    place += 2 if wide else 1
                    area = sizes.get(number & (0x7FFF if wide else 0x7F), 0)
                    areas[item] = max(areas.get(item, 0), area)
    return areas
