"""Pixels for people: numbered boxes on a photo, evidence over a crop, number badges. Pure.

The number ties a face's box to its card and its row; the colour means the expression. An
uncertain face wears no expression's colour: its box is dashed, dark on white.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont

from fer_demo.saliency import enlarged, signed_scale
from fer_demo.scaling import scaled
from fer_demo.types import COLOUR_SIDE, Analysis

COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "angry": "#D55E00",
        "disgust": "#009E73",
        "fear": "#CC79A7",
        "happy": "#E69F00",
        "sad": "#0072B2",
        "surprise": "#56B4E9",
        "neutral": "#7F7F7F",
        "contempt": "#8C6D31",
    }
)
"""Okabe-Ito based, told apart by colour-blind eyes (https://jfly.uni-koeln.de/color/)."""

EVIDENCE_FOR, EVIDENCE_AGAINST = "#762A83", "#01665E"
"""Ends of the diverging evidence map (ColorBrewer PRGn and BrBG): no expression's colour."""

LEAST_SIDE = 480
"""Long side of a drawing, px, at least: a number that can be read would hide half a face of 48."""

INK, PAPER = "#111418", "#FFFFFF"


def percent(probability: float) -> str:
    """A probability for people: whole percents, and never "0 %" or "100 %"."""
    value = 100 * float(probability)
    if value < 0.5:
        return "< 1 %"
    if value >= 99.5:
        return "> 99 %"
    return f"{value:.0f} %"


def _luminance(colour: str) -> float:
    """Relative luminance in [0, 1] (WCAG 2.2)."""
    channels = np.array(ImageColor.getrgb(colour)[:3]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def ink_on(colour: str) -> str:
    """Dark or white, whichever reads better on `colour`."""
    return max(INK, PAPER, key=lambda ink: contrast(ink, colour))


def face_colour(analysis: Analysis, face: int) -> str | None:
    """Colour of a face's expression; None where the answer is "uncertain"."""
    if analysis.is_uncertain(face):
        return None
    return COLOURS[analysis.predictions.labels[int(analysis.predictions.top[face])]]


def badge(number: int, colour: str | None) -> str:
    """SVG of a face's number in its colour; dashed, dark on white, where it is uncertain."""
    fill = colour or PAPER
    width = 28 + 9 * (len(str(number)) - 1)
    dashes = (
        f'<rect x="2.5" y="2.5" width="{width - 5}" height="23" rx="4" fill="none" '
        f'stroke="{INK}" stroke-width="1.5" stroke-dasharray="4 3"/>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="28">'
        f'<rect width="{width}" height="28" rx="6" fill="{fill}"/>{"" if colour else dashes}'
        f'<text x="{width / 2}" y="20" font-family="sans-serif" font-size="16" font-weight="700" '
        f'text-anchor="middle" fill="{ink_on(fill)}">{number}</text></svg>'
    )


def resized(rgb: NDArray[np.uint8], max_side: int) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 with no side longer than `max_side` px; never enlarged."""
    return scaled(rgb, min(1.0, max_side / max(rgb.shape[:2])))


def _enlarged(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 whose longer side has LEAST_SIDE px or more."""
    return scaled(rgb, max(1.0, LEAST_SIDE / max(rgb.shape[:2])))


def annotate(analysis: Analysis, max_side: int | None = None) -> NDArray[np.uint8]:
    """The photo with a numbered box around each face.

    Args:
        analysis: the faces and what was said of them.
        max_side: longest side of a reduced photo, px; None keeps the photo's size. A photo of less
            than LEAST_SIDE is enlarged. Lines and letters are drawn after resizing, so they stay
            crisp.

    Returns:
        (H, W, 3) uint8, sRGB.
    """
    rgb = analysis.photo.rgb
    rgb = _enlarged(rgb if max_side is None else resized(rgb, max_side))
    scale = np.array(rgb.shape[1::-1]) / (analysis.photo.width, analysis.photo.height)
    image = Image.fromarray(rgb)
    draw = ImageDraw.Draw(image)
    line = max(2, round(max(image.size) / 300))
    font = ImageFont.load_default(size=max(13, round(max(image.size) / 34)))
    boxes = analysis.faces.xyxy.reshape(-1, 2, 2) * scale
    for face, ((x1, y1), (x2, y2)) in enumerate(boxes.tolist()):
        colour = face_colour(analysis, face)
        _box(draw, (x1, y1, x2, y2), colour, line)
        _tag(draw, image.size, (x1, y1, x2, y2), _tag_texts(analysis, face), colour, font, line)
    return np.asarray(image, np.uint8)


def _tag_texts(analysis: Analysis, face: int) -> tuple[str, str]:
    """The long and the short text of a face's tag; the short one is its number alone."""
    number = str(face + 1)
    if analysis.is_uncertain(face):
        return f"{number}  uncertain", number
    label = analysis.predictions.labels[int(analysis.predictions.top[face])]
    return f"{number}  {label}", number


def _box(
    draw: ImageDraw.ImageDraw,
    box: tuple[float, float, float, float],
    colour: str | None,
    line: int,
) -> None:
    """A box with a dark rim, so that it shows on any photo; white dashes where uncertain."""
    x1, y1, x2, y2 = box
    rim = max(1, line // 2)
    draw.rectangle((x1 - rim, y1 - rim, x2 + rim, y2 + rim), outline=INK, width=line + 2 * rim)
    if colour:
        draw.rectangle(box, outline=colour, width=line)
        return
    dash = 4 * line
    half = (line - 1) / 2
    for start, stop, level, across in (
        (x1, x2, y1 + half, False),
        (x1, x2, y2 - half, False),
        (y1, y2, x1 + half, True),
        (y1, y2, x2 - half, True),
    ):
        for at in np.arange(start, stop, 2 * dash):
            end = min(at + dash, stop)
            ends = (level, at, level, end) if across else (at, level, end, level)
            draw.line(ends, fill=PAPER, width=line)


def _tag(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    box: tuple[float, float, float, float],
    texts: tuple[str, str],
    colour: str | None,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    line: int,
) -> None:
    """The number (and the expression's name where the box is wide enough) at a box's corner."""
    x1, y1, x2, _ = box
    pad = max(3, line)
    long, short = texts
    text = long if draw.textlength(long, font=font) + 2 * pad <= x2 - x1 else short
    width = draw.textlength(text, font=font) + 2 * pad
    height = font.size + 2 * pad if isinstance(font, ImageFont.FreeTypeFont) else 11 + 2 * pad
    left = float(np.clip(x1 - line, 0, max(0, size[0] - width)))
    # Above the box where there is room, so that it covers no face.
    top = y1 - height if y1 >= height else max(0.0, y1)
    fill = colour or PAPER
    draw.rectangle(
        (left, top, left + width, top + height), fill=fill, outline=INK, width=max(1, line // 2)
    )
    middle = (left + width / 2, top + height / 2)
    draw.text(middle, text, fill=ink_on(fill), font=font, anchor="mm")


def evidence_scale(analysis: Analysis) -> float:
    """The evidence, in logits, that is drawn in full colour: one scale for the whole picture."""
    return signed_scale(analysis.predictions.evidence)


def overlay(
    crop: NDArray[np.uint8],
    evidence: NDArray[np.float32],
    scale: float,
    opacity: float,
    *,
    grid: bool = False,
) -> NDArray[np.uint8]:
    """An evidence map laid over a crop: for in purple, against in teal, zero transparent.

    Args:
        crop: (224, 224, 3) or (48, 48) uint8; the smaller is enlarged without smoothing.
        evidence: (h, w) float32, logits; enlarged bilinearly, or to the cells that were computed
            (`grid`).
        scale: logits drawn in full colour.
        opacity: of full colour, in [0, 1].

    Returns:
        (224, 224, 3) uint8, sRGB.
    """
    side = (COLOUR_SIDE, COLOUR_SIDE)
    base = crop if crop.ndim == 3 else np.repeat(crop[..., None], 3, axis=2)
    if base.shape[:2] != side:
        base = np.asarray(cv2.resize(base, side, interpolation=cv2.INTER_NEAREST), np.uint8)
    value = enlarged(evidence[None], COLOUR_SIDE, grid=grid)[0] / np.float32(scale)
    alpha = (np.clip(np.abs(value), 0, 1) * np.float32(opacity))[..., None]
    colour = np.where(value[..., None] > 0, _rgb(EVIDENCE_FOR), _rgb(EVIDENCE_AGAINST))
    return np.asarray(np.rint(base + (colour - base) * alpha), np.uint8)


def _rgb(colour: str) -> NDArray[np.float32]:
    return np.array(ImageColor.getrgb(colour), np.float32)


def colour_bar(width: int = 240, height: int = 12, *, signed: bool = True) -> NDArray[np.uint8]:
    """(height, width, 4) uint8 RGBA: the evidence colours from against to for, clear at zero.

    Where no map is below zero (`signed` is false) the bar runs from zero.
    """
    value = np.linspace(-1 if signed else 0, 1, width)[None, :, None]
    colour = np.where(value > 0, _rgb(EVIDENCE_FOR), _rgb(EVIDENCE_AGAINST))
    rgb = np.broadcast_to(colour, (height, width, 3))
    alpha = np.broadcast_to(255 * np.abs(value), (height, width, 1))
    return np.asarray(np.rint(np.concatenate([rgb, alpha], axis=2)), np.uint8)
