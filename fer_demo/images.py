"""From the bytes of a picture to an upright `Photo`. The only `Image.open` in the project.

Pictures come from strangers. So: a short list of formats, limits that are checked before pixels
are decoded, one frame, metadata taken out before a decoder sees the file (`containers.py`), and two
outcomes: a `Photo`, or `BadImage` with one sentence. Colour profiles are metadata here: they are an
attack surface, and a network that looks at grey levels gains nothing from them.
"""

from __future__ import annotations

import logging
import warnings
from io import BytesIO

import numpy as np
import pi_heif
from PIL import Image

from fer_demo import log
from fer_demo.containers import Damaged, Unreasonable, bare
from fer_demo.errors import BadImage
from fer_demo.types import Photo

MAX_BYTES = 20_000_000
MAX_PIXELS = 64_000_000
"""Phones take 48 million."""
MAX_SIDE = 12_000
WORKING_SIDE = 4096
"""Larger pictures are reduced to this long side, px: faces lose nothing, the server a lot."""

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF")
ACCEPTED = "JPEG, PNG, WebP, AVIF or HEIC"

STRIP_PIXELS = 1_000_000
"""Colours are converted in strips of so many pixels, for the sake of memory."""

# Only the main picture: not its thumbnails, depths and gain maps.
pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
# Pillow dumps chunks at debug level and warns about large pictures; ours are the limits above.
logging.getLogger("PIL").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

_TURN_UPRIGHT = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
"""By EXIF orientation."""

_KNOWN_ACCEPTED = (
    (b"\xff\xd8\xff", 0, "JPEG"),
    (b"\x89PNG\r\n\x1a\n", 0, "PNG"),
    (b"WEBP", 8, "WebP"),
    (b"ftypavi", 4, "AVIF"),
    (b"ftyphe", 4, "HEIC"),
    (b"ftypmif1", 4, "HEIC"),
)
"""What stands where, and which format that is."""

_KNOWN_REFUSED = (
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"%PDF", "PDF"),
    (b"%!PS", "EPS"),
    (b"PK\x03\x04", "ZIP"),
)


def read_photo(data: bytes, name: str) -> Photo:
    """Decode one picture: first frame, upright, sRGB, transparency on white, 16 bits scaled to 8.

    Args:
        data: the file's bytes.
        name: what a person calls it; used in the sentence only.

    Raises:
        BadImage: the picture is not one of FORMATS, is damaged, or exceeds a limit.
    """
    with log.timed("photo", format=_kind(data), bytes=len(data)) as found:
        photo = _read(data, display_name(name))
        found |= {"width": photo.width, "height": photo.height}
    return photo


def _read(data: bytes, name: str) -> Photo:
    if not data:
        raise BadImage(f"{name} was not read: the file is empty. Choose a {ACCEPTED} picture.")
    if len(data) > MAX_BYTES:
        # No size: who reads a file may stop here, and 20.3 MB would be rounded to the limit.
        raise BadImage(
            f"{name} was not read: it has more than {MAX_BYTES // 10**6} MB, which is the limit. "
            "Save it smaller."
        )
    try:
        pixels, orientation = bare(data)
        # Pillow's own check of the pixel count (at 179 million) fires here, before any decoding.
        image = Image.open(BytesIO(pixels), formats=FORMATS)
    except Unreasonable:
        raise BadImage(
            f"{name} was not read: it is built in a way that takes too long. Save it again."
        ) from None
    except Damaged:
        raise BadImage(_damaged(name)) from None
    except Image.DecompressionBombError:
        raise BadImage(_too_large(name)) from None
    except Exception:  # decoders of foreign bytes raise whatever they like
        raise BadImage(_not_supported(data, name)) from None
    with image:
        width, height = image.size
        if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
            raise BadImage(_too_large(name, width, height))
        try:
            return _decode(image, orientation)
        except Exception:  # as above: truncated, corrupt, or out of memory, the answer is the same
            raise BadImage(_damaged(name)) from None


def display_name(name: str) -> str:
    """A file's name for a sentence: printable, at most 60 characters."""
    printable = full_name(name)
    if len(printable) > 60:
        printable = printable[:40] + "…" + printable[-19:]
    return printable


def full_name(name: str) -> str:
    """A file's name for a table: its last part, printable, of any length."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(c for c in last if c.isprintable()).strip() or "The picture"


def _decode(image: Image.Image, orientation: int) -> Photo:
    full = image.size
    if image.format == "AVIF":  # its own turn comes as if from EXIF; HEIC has been turned already
        orientation = int(image.getexif().get(0x0112, 1))
    # A large JPEG is decoded at half or a quarter of its size, which skips most of the work; the
    # request is under WORKING_SIDE because Pillow never goes below what is asked for.
    image.draft("RGB", (WORKING_SIDE * 2 // 3, WORKING_SIDE * 2 // 3))
    image.load()
    rgb = _to_rgb(image)
    if max(rgb.size) > WORKING_SIDE:
        rgb.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    for turn in _TURN_UPRIGHT.get(orientation, ()):
        rgb = rgb.transpose(turn)
    if orientation >= 5:
        full = full[::-1]
    return Photo(np.array(rgb, np.uint8), full_size=full)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    rgb = Image.new("RGB", image.size)
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        rgb.paste(_strip_to_rgb(strip), (0, top))
    return rgb


def _strip_to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits; a plain conversion would clip to white
        levels = np.asarray(image).astype(np.uint32)
        return Image.fromarray((levels * 255 // 65535).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:  # a plain conversion would show hidden colours
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _too_large(name: str, width: int = 0, height: int = 0) -> str:
    has = f"it has {width} x {height} pixels, " if width else ""
    return (
        f"{name} was not read: {has}the limit is {MAX_PIXELS // 10**6} megapixels and "
        f"{MAX_SIDE:,} pixels a side. Save it smaller."
    )


def _damaged(name: str) -> str:
    return f"{name} was not read: the file is damaged or incomplete. Save it again."


def _not_supported(data: bytes, name: str) -> str:
    kind = _kind(data)
    if kind in [accepted for _, _, accepted in _KNOWN_ACCEPTED]:
        return _damaged(name)
    unknown = kind == "unknown"
    reason = "it is not a picture of a known format" if unknown else f"{kind} is not supported here"
    return f"{name} was not read: {reason}. Save it as {ACCEPTED}."


def _kind(data: bytes) -> str:
    """What the file starts as, whatever its name says."""
    for magic, at, kind in _KNOWN_ACCEPTED:
        if data.startswith(magic, at):
            return kind
    for magic, kind in _KNOWN_REFUSED:
        if data.startswith(magic):
            return kind
    head = data[:256].lstrip().lower()
    if head.startswith((b"<svg", b"<?xml")):
        return "SVG"
    return "HTML" if head.startswith((b"<!doctype html", b"<html")) else "unknown"
