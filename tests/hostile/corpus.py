"""Pictures and files made to be hostile, by code: nothing binary is kept."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from PIL import Image
from skimage.data import astronaut

from tests.hostile.heif import heic

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIC")

CANARY = b"canary-4711-that-nobody-may-see"
"""Hidden in files; nothing that leaves the app may hold it."""

FACE = (slice(10, 210), slice(124, 324))
"""The astronaut's head."""


def face(side: int = 200) -> np.ndarray:
    """(side, side, 3) uint8: a picture with one face."""
    return np.asarray(Image.fromarray(astronaut()[FACE]).resize((side, side)))


def encode(image: Image.Image | np.ndarray, format: str, **options: object) -> bytes:
    """The picture as a file of one of FORMATS, or of another that Pillow writes."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    if format == "HEIC":
        return heic(np.asarray(image.convert("RGB")))
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@cache
def sample(format: str) -> bytes:
    """A small picture, 64 px square; HEVC knows no smaller one."""
    options = {"progressive": True} if format == "JPEG" else {}
    return encode(face(64), format, **options)


# --- PNG ------------------------------------------------------------------------------------------


def chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, data: bytes, bits: int = 8, colour: int = 2) -> bytes:
    """A PNG whose rows are in `data`, compressed."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def with_chunks(*chunks: bytes) -> bytes:
    """The small PNG with more chunks after its header."""
    data = sample("PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def black_png(side: int) -> bytes:
    """A real PNG, one bit a pixel, black."""
    return png(side, side, zlib.compress(bytes((side + 7) // 8 + 1) * side, 1), bits=1, colour=0)


# --- JPEG -----------------------------------------------------------------------------------------


def with_segments(*segments: tuple[int, bytes]) -> bytes:
    """The small JPEG with more segments after its start."""
    data = sample("JPEG")
    more = b"".join(struct.pack(">BBH", 255, code, len(body) + 2) + body for code, body in segments)
    return data[:2] + more + data[2:]


def jpeg_of_scans(side: int, scans: int) -> bytes:
    """A grey progressive JPEG whose last scan, which changes nothing, is repeated."""
    data = encode(Image.new("RGB", (side, side), "grey"), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * scans + b"\xff\xd9"


def jpeg_and_zip() -> bytes:
    """A JPEG that is also a ZIP; the canary is in a comment, and in a member."""
    archive = BytesIO()
    with ZipFile(archive, "w") as file:
        file.writestr("canary.txt", CANARY)
    picture = encode(face(), "JPEG", quality=95)
    comment = struct.pack(">BBH", 255, 0xFE, len(CANARY) + 2) + CANARY
    return picture[:2] + comment + picture[2:] + archive.getvalue()


# --- claims ---------------------------------------------------------------------------------------


def _patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


@cache
def huge_claims() -> dict[str, bytes]:
    """Small files whose headers claim 65,535 px a side (HEVC and AV1: in the container)."""
    side = 65535
    jpeg, webp, avif = sample("JPEG"), sample("WEBP"), sample("AVIF")
    canvas = struct.pack("<I", side - 1)[:3]
    extended = b"VP8X" + struct.pack("<II", 10, 0) + canvas + canvas
    body = b"WEBP" + extended + webp[12:]
    return {
        "PNG": png(side, side, b""),
        "JPEG": _patched(jpeg, jpeg.index(b"\xff\xc2") + 5, struct.pack(">HH", side, side)),
        "WEBP": b"RIFF" + struct.pack("<I", len(body)) + body,
        "AVIF": _patched(avif, avif.index(b"ispe") + 8, struct.pack(">II", side, side)),
        "HEIC": heic(face(64), claims=(side, side)),
    }


# --- metadata -------------------------------------------------------------------------------------


def exif_of(size: int, orientation: int = 1) -> bytes:
    """EXIF with a position (the GPS block holds the canary) and a comment of `size` bytes."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = CANARY.decode()
    exif[0x9286] = bytes(size)
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 12.0, 30.0), 29: CANARY.decode()})
    return exif.tobytes()


def many_large_tags(tags: int, size: int) -> bytes:
    """EXIF in which every tag claims the same `size` bytes."""
    head = b"II*\0" + struct.pack("<IH", 8, tags)
    entries = b"".join(struct.pack("<HHII", tag, 1, size, 8) for tag in range(1, tags + 1))
    return (head + entries).ljust(size + 8, b"\0")


def metadata(size: int = 8_000_000) -> dict[str, bytes]:
    """Small pictures with `size` bytes of metadata around them."""
    noise = np.random.default_rng(0).bytes(size)
    exif, part = exif_of(size), 65_000
    icc = [
        (0xE2, b"ICC_PROFILE\0" + bytes([n % 256, 255]) + noise[n * part : (n + 1) * part])
        for n in range(size // part)
    ]
    picture = Image.fromarray(face(64))
    return {
        "PNG with EXIF": encode(picture, "PNG", exif=exif),
        "PNG with a profile": with_chunks(chunk(b"iCCP", b"p\0\0" + zlib.compress(noise, 0))),
        "PNG with text": with_chunks(chunk(b"tEXt", b"Comment\0" + noise)),
        "PNG with packed text": with_chunks(chunk(b"zTXt", b"a\0\0" + zlib.compress(noise, 0))),
        "JPEG with a profile": with_segments(*icc),
        "JPEG with EXIF": encode(picture, "JPEG", exif=exif_of(60_000)),
        "JPEG with comments": with_segments(*[(0xFE, body) for _, body in icc]),
        "WebP with EXIF": encode(picture, "WEBP", exif=exif),
        "WebP with a profile": encode(picture, "WEBP", icc_profile=noise, xmp=noise[: size // 2]),
        "AVIF with EXIF": encode(picture, "AVIF", exif=exif),
        "AVIF with XMP": encode(picture, "AVIF", xmp=noise),
    }


# --- what is no picture ---------------------------------------------------------------------------


@cache
def no_pictures() -> dict[str, bytes]:
    """By the name of what it is."""
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as file:
        file.writestr("zeros", bytes(20_000_000))
    small = Image.fromarray(face(64))
    frames = [Image.new("P", (16, 16), n % 256) for n in range(300)]
    return {
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "XML": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>",
        "EPS": encode(small, "EPS"),
        "PDF": encode(small, "PDF"),
        "TIFF": encode(small, "TIFF"),
        "BMP": encode(small, "BMP"),
        "ICO": encode(small, "ICO"),
        "JPEG 2000": encode(small, "JPEG2000"),
        "ZIP": packed.getvalue(),
        "GIF": encode(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "HTML": b"<!doctype html><script>alert(1)</script>",
        "nothing": b"",
        "zeros": bytes(1000),
        "text": b"hello " * 100,
        "a pickle": b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00cos\nsystem\n(S'id'\ntR.",
    }


@cache
def animations(frames: int = 300) -> dict[str, bytes]:
    """Red first, then green."""
    first = Image.new("RGB", (32, 32), (255, 0, 0))
    rest = [Image.new("RGB", (32, 32), (0, 128 + n % 128, 0)) for n in range(frames - 1)]
    return {
        format: encode(first, format, save_all=True, append_images=rest, **options)
        for format, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("AVIF", {"speed": 10}))
    }


NAMES = (
    "<img src=x onerror=alert(1)>.jpg",
    "<script>alert(1)</script>.png",
    "<b>bold</b>&amp;.jpg",
    "![x](http://127.0.0.1:9/x.png).jpg",
    "[link](javascript:alert(1)).jpg",
    "**bold** _it_ ~~no~~ `code`.jpg",
    "# heading.jpg",
    "> quote\n- list.jpg",
    "$x^2$ $$y$$.jpg",
    ":material/delete: :red[red] :smile:.jpg",
    "{{7*7}} ${7*7} %s %n {0}.jpg",
    "\u202egpj.exe",
    "\u2066abc\u2069.jpg",
    "zero\u200bwidth\ufeff.jpg",
    "nul\x00byte.jpg",
    "bell\x07esc\x1b[31mred\x1b]0;title\x07.jpg",
    "c1\x9b31mred.jpg",
    "line\nbreak\r\nand\ttab.jpg",
    "../../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "/etc/shadow",
    "C:\\boot.ini",
    "file:///etc/passwd",
    "~root/.ssh/id_rsa",
    "=cmd|'/c calc'!A1.jpg",
    "+1+1.jpg",
    "-1-1.jpg",
    "@SUM(A1).jpg",
    "\t=1+1.jpg",
    "＝1+1.jpg",
    '"quoted","and",commas.jpg',
    "'; DROP TABLE faces; --.jpg",
    "$(reboot) `reboot` | reboot ; &.jpg",
    "a" * 4096,
    "é" * 2000 + ".jpg",
    "👩‍👩‍👧‍👦.jpg",
    "a\u0301\u0302\u0303" * 200 + ".jpg",
    "CON.jpg",
    ".jpg",
    "   ",
)
"""Forty hostile names."""
