"""Numbered boxes and evidence on a frame, quickly: a frame has 30 ms, a photo a second.

It looks as `fer_demo.draw` does; letters are set by Pillow once and then copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont

from fer_demo.draw import EVIDENCE_AGAINST, EVIDENCE_FOR, INK, PAPER, face_colour, ink_on, percent
from fer_demo.types import EXPRESSIONS, GREY_SIDE, Analysis

BLUR_SIDE = 20
"""The picture behind the faces is reduced to so many columns: no face can be told from it."""

FACE_GROWTH = 0.12
"""Of the box's sides, kept sharp around a face where the rest is blurred."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a frame is drawn; may change from one frame to the next."""

    overlay: bool = False
    """Lay the evidence over the faces."""
    expression: str | None = None
    """Whose evidence; None is the predicted expression of each face."""
    opacity: float = 0.6
    mirror: bool = True
    blur_others: bool = False


def draw_frame(
    rgb: NDArray[np.uint8], analysis: Analysis | None, look: Look, scale: float = 1.0
) -> NDArray[np.uint8]:
    """A new frame with what is known of it.

    Args:
        rgb: (H, W, 3) uint8, as the camera gave it.
        analysis: with `faces.track_id`, of this frame or of one shortly before; None draws none.
        look: what to draw.
        scale: the evidence, in logits, that is drawn in full colour.

    Returns:
        (H, W, 3) uint8, mirrored where `look` says so; letters never are.
    """
    out = rgb.copy()
    boxes = np.zeros((0, 4)) if analysis is None else analysis.faces.xyxy
    if look.blur_others:
        out = _only_faces_sharp(out, boxes)
    if analysis is not None and look.overlay:
        for face in range(len(analysis)):
            _lay_evidence(out, analysis, face, look, scale)
    if look.mirror:
        out = np.asarray(cv2.flip(out, 1), np.uint8)
        boxes = np.stack(
            [out.shape[1] - boxes[:, 2], boxes[:, 1], out.shape[1] - boxes[:, 0], boxes[:, 3]], 1
        )
    if analysis is not None and analysis.faces.track_id is not None:
        for face, number in enumerate(analysis.faces.track_id.tolist()):
            _draw_face(out, boxes[face], analysis, face, number)
    return out


def _inside(
    box: NDArray[np.floating], shape: tuple[int, ...], grow: float = 0.0
) -> tuple[slice, slice] | None:
    """Rows and columns of a box within a picture; None where it lies outside."""
    margin = grow * (box[2:] - box[:2])
    x1, y1 = np.floor(box[:2] - margin).astype(int).clip(0)
    x2, y2 = np.minimum(np.ceil(box[2:] + margin).astype(int), (shape[1], shape[0]))
    return (slice(y1, y2), slice(x1, x2)) if x2 > x1 and y2 > y1 else None


def _only_faces_sharp(rgb: NDArray[np.uint8], boxes: NDArray[np.floating]) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    size = (BLUR_SIDE, max(1, round(BLUR_SIDE * height / width)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    out = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    for box in boxes:
        where = _inside(box, rgb.shape, FACE_GROWTH)
        if where:
            out[where] = rgb[where]
    return out


def _lay_evidence(
    rgb: NDArray[np.uint8], analysis: Analysis, face: int, look: Look, scale: float
) -> None:
    """Blend one face's evidence into the frame, through the crop's map onto the photo."""
    to_photo = analysis.crops.to_photo[face]
    corners = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]]) @ to_photo.T
    where = _inside(np.concatenate([corners.min(axis=0), corners.max(axis=0)]), rgb.shape)
    if where is None:
        return
    predicted = EXPRESSIONS[int(analysis.predictions.top[face])]
    chosen = EXPRESSIONS.index(look.expression or predicted)
    evidence = analysis.predictions.evidence[face, chosen] / np.float32(scale)
    fine = cv2.resize(evidence, (GREY_SIDE, GREY_SIDE), interpolation=cv2.INTER_LINEAR)
    # Pixel centres: pixel i of the fine map is at (i + 0.5) / 48 of the crop.
    linear = to_photo[:, :2] / GREY_SIDE
    shift = to_photo[:, 2] + linear @ [0.5, 0.5] - 0.5 - (where[1].start, where[0].start)
    rows, columns = where[0].stop - where[0].start, where[1].stop - where[1].start
    value = cv2.warpAffine(
        fine, np.column_stack([linear, shift]), (columns, rows), flags=cv2.INTER_LINEAR
    )
    level = np.clip(value * 127 + 128, 0, 255).astype(np.uint8)
    colour, alpha = _evidence_colours()
    weight = (alpha * look.opacity).astype(np.float32)[level][..., None]
    base = rgb[where].astype(np.float32)
    rgb[where] = (base + (colour[level] - base) * weight + 0.5).astype(np.uint8)


@lru_cache(maxsize=1)
def _evidence_colours() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(256, 3) colours and (256,) opacities from "against" over nothing (128) to "for"."""
    value = (np.arange(256) - 128) / 127
    towards, against = (np.array(ImageColor.getrgb(c)) for c in (EVIDENCE_FOR, EVIDENCE_AGAINST))
    colour = np.where(value[:, None] > 0, towards, against)
    return colour.astype(np.float32), np.abs(value).clip(0, 1).astype(np.float32)


def _draw_face(
    rgb: NDArray[np.uint8], box: NDArray[np.floating], analysis: Analysis, face: int, number: int
) -> None:
    height, width = rgb.shape[:2]
    line = max(2, round(max(height, width) / 320))
    colour = face_colour(analysis, face)
    x1, y1, x2, y2 = (round(float(v)) for v in box)
    rim = max(1, line // 2)
    cv2.rectangle(rgb, (x1, y1), (x2, y2), _rgb(INK), line + 2 * rim)
    if colour:
        cv2.rectangle(rgb, (x1, y1), (x2, y2), _rgb(colour), line)
    else:
        for start, stop in _dashes((x1, y1), (x2, y2), 4 * line):
            cv2.line(rgb, start, stop, _rgb(PAPER), line)
    labels = analysis.predictions.labels
    confidence = analysis.predictions.confidence[face]
    label = labels[int(analysis.predictions.top[face])]
    said = f"{label} {percent(confidence)}" if colour else "uncertain"
    size = max(13, round(max(height, width) / 40))
    tag = _tag(f"{number}  {said}", colour or PAPER, size)
    # Above the box where there is room, so that it covers no face.
    top = y1 - tag.shape[0] - rim if y1 >= tag.shape[0] + rim else max(0, y1)
    left = int(np.clip(x1 - rim, 0, max(0, width - tag.shape[1])))
    target = rgb[top : top + tag.shape[0], left : left + tag.shape[1]]
    target[:] = tag[: target.shape[0], : target.shape[1]]


def _dashes(
    low: tuple[int, int], high: tuple[int, int], dash: int
) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    (x1, y1), (x2, y2) = low, high
    for x in range(x1, x2, 2 * dash):
        for y in (y1, y2):
            yield (x, y), (min(x + dash, x2), y)
    for y in range(y1, y2, 2 * dash):
        for x in (x1, x2):
            yield (x, y), (x, min(y + dash, y2))


@lru_cache(maxsize=512)
def _tag(text: str, fill: str, size: int) -> NDArray[np.uint8]:
    """(h, w, 3) uint8: letters on the face's colour, with a dark rim."""
    font = ImageFont.load_default(size=size)
    pad = size // 3
    image = Image.new("RGB", (round(font.getlength(text)) + 2 * pad, size + pad), fill)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, image.width - 1, image.height - 1), outline=INK)
    draw.text((image.width / 2, image.height / 2), text, ink_on(fill), font, anchor="mm")
    return np.asarray(image, np.uint8)


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return red, green, blue
