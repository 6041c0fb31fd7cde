"""Every colour mode comes out as a reference says that does not ask the code under test."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.hostile.corpus import encode, face, png
from tests.hostile.limits import photo

SIDE = 96
RGB = face(SIDE)
GREY = np.asarray(Image.fromarray(RGB).convert("L"))
ALPHA = np.linspace(0, 255, SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint8)


def on_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None] / 255
    return rgb * share + 255 * (1 - share)


def grey(levels: np.ndarray) -> np.ndarray:
    return np.repeat(levels[..., None], 3, axis=2)


def deep(channels: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, channels in the order red, green, blue, alpha."""
    swapped = channels
    if channels.ndim == 3:
        swapped = channels[..., [2, 1, 0, 3][: channels.shape[2]]]
    return cv2.imencode(".png", np.ascontiguousarray(swapped))[1].tobytes()


def palette_case() -> tuple[bytes, np.ndarray]:
    image = Image.fromarray(RGB).quantize(64)
    colours = np.array(image.getpalette()).reshape(-1, 3)
    index = np.asarray(image)
    alpha = np.where(index == 3, 0, 255).astype(np.uint8)
    return encode(image, "PNG", transparency=3), on_white(colours[index], alpha)


def cmyk_case() -> tuple[bytes, np.ndarray]:
    image = Image.fromarray(RGB).convert("CMYK")
    inks = np.asarray(image).astype(float) / 255
    rgb = 255 * (1 - inks[..., :3]) * (1 - inks[..., 3:])
    return encode(image, "JPEG", quality=100, subsampling=0), rgb


def one_bit_case() -> tuple[bytes, np.ndarray]:
    bits = GREY > 100
    return encode(Image.fromarray(bits), "PNG"), grey(bits * 255)


def rgb_key_case() -> tuple[bytes, np.ndarray]:
    """One colour of an RGB PNG is transparent."""
    painted = RGB.copy()
    painted[:20] = (1, 2, 3)
    reference = painted.copy()
    reference[:20] = 255
    return encode(Image.fromarray(painted), "PNG", transparency=(1, 2, 3)), reference


CASES: dict[str, Callable[[], tuple[bytes, np.ndarray]]] = {
    "RGB, PNG": lambda: (encode(RGB, "PNG"), RGB),
    "RGB, JPEG": lambda: (encode(RGB, "JPEG", quality=100, subsampling=0), RGB),
    "RGB, WebP": lambda: (encode(RGB, "WEBP", lossless=True), RGB),
    "RGB, AVIF": lambda: (encode(RGB, "AVIF", quality=100, subsampling="4:4:4"), RGB),
    "RGB, HEIC": lambda: (encode(face(512), "HEIC"), face(512)),
    "grey, PNG": lambda: (encode(GREY, "PNG"), grey(GREY)),
    "grey, JPEG": lambda: (encode(GREY, "JPEG", quality=100), grey(GREY)),
    "grey, AVIF": lambda: (encode(GREY, "AVIF", quality=100), grey(GREY)),
    "one bit": one_bit_case,
    "palette with a transparent colour": palette_case,
    "RGB with a transparent colour": rgb_key_case,
    "RGBA, PNG": lambda: (encode(np.dstack([RGB, ALPHA]), "PNG"), on_white(RGB, ALPHA)),
    "RGBA, WebP": lambda: (
        encode(np.dstack([RGB, ALPHA]), "WEBP", lossless=True, exact=True),
        on_white(RGB, ALPHA),
    ),
    "RGBA, AVIF": lambda: (
        encode(np.dstack([RGB, ALPHA]), "AVIF", quality=100, subsampling="4:4:4"),
        on_white(RGB, ALPHA),
    ),
    "grey with alpha": lambda: (
        encode(Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)]), "PNG"),
        on_white(grey(GREY), ALPHA),
    ),
    "16-bit grey": lambda: (deep(GREY.astype(np.uint16) * 257), grey(GREY)),
    "16-bit RGB": lambda: (deep(RGB.astype(np.uint16) * 257), RGB),
    "16-bit RGBA": lambda: (
        deep(np.dstack([RGB, ALPHA]).astype(np.uint16) * 257),
        on_white(RGB, ALPHA),
    ),
    "CMYK": cmyk_case,
}


@pytest.mark.parametrize("case", list(CASES))
def test_a_colour_mode_equals_its_reference(case: str) -> None:
    data, reference = CASES[case]()
    difference = np.abs(photo(data).rgb.astype(float) - reference)
    assert difference.mean() <= 2


def test_a_picture_of_one_pixel_is_read() -> None:
    assert photo(encode(np.zeros((1, 1, 3), np.uint8), "PNG")).rgb.shape == (1, 1, 3)


def test_a_picture_without_pixels_is_refused() -> None:
    for width, height in ((0, 5), (5, 0)):
        with pytest.raises(AssertionError, match="damaged"):
            photo(png(width, height, b""))


@pytest.mark.parametrize("size", [(12_000, 1), (1, 12_000)])
def test_a_long_thin_picture_is_read(size: tuple[int, int]) -> None:
    width, height = size
    result = photo(encode(np.full((height, width, 3), 9, np.uint8), "PNG"))
    assert result.full_size == size
