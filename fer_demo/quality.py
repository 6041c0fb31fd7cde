"""What speaks against trusting a prediction: a poor picture of a face, or none of a face at all.

Each threshold but the mouth's lies where FER2013's own faces end (percentiles over its PublicTest
images): beyond it a network is asked about something that it was not taught. How many drawings,
masks and things are warned of or answered "uncertain" is measured by `python -m training.outside`.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_demo.crops import crop_points, face_axes
from fer_demo.types import GREY_SIDE, Crops, Faces

SMALL_SIDE = 32.0
"""Crops narrower than this, photo px, are enlarged by half and more to the 48 the network sees."""

BLURRED_BELOW = 0.10
"""Variance of the Laplacian over the variance of the grey levels, in the 48 px crop. FER2013's 0.5
percentile is 0.18; blurring its images by one pixel of 48 brings their median to 0.065."""

DARK_BELOW, BRIGHT_ABOVE = 50.0, 205.0
"""Mean grey level; FER2013's 1 and 99.5 percentiles are 49 and 205."""

FLAT_BELOW = 24.0
"""Standard deviation of the grey levels; FER2013's 1 percentile is 24.6."""

TURNED_ABOVE = 0.40
"""Distance of the nose from the eyes' middle, along the line through them, in eye distances;
FER2013's 95 percentile is 0.37, a face turned away by about 35 degrees."""


DOUBTED_BELOW = 0.80
"""YuNet's score; FER2013's 1 percentile at 4x is 0.80, its median 0.92. The median with a drawn
mask is 0.86, with sunglasses 0.73, of cartoons 0.72, of drawings 0.63."""

SHADELESS_ABOVE = 0.35
"""Share of the 48 px crop that differs from its neighbours by at most one grey level; FER2013's
99.5 percentile is 0.28, and all faces that were drawn by code lie above."""

LINE_BELOW, ALONG_BELOW = 0.35, 0.16
"""How far lips or teeth stand out from what is above and below them, and how much grey levels
change along them, both in standard deviations of the crop. Chosen with masks drawn on FER2013's
faces; `training.outside` counts which share of masks and of photographs lies below both."""

MOUTH_GRID = 24
"""Samples a side of what is looked at around a mouth."""


def face_warnings(faces: Faces, crops: Crops) -> tuple[tuple[str, ...], ...]:
    """For each face, what speaks against its prediction, as short phrases; often nothing."""
    has_landmarks = faces.has_landmarks()
    found = []
    for i in range(len(faces)):
        landmarks = faces.landmarks[i] if faces.landmarks is not None and has_landmarks[i] else None
        words = _of_pixels(crops.grey[i])
        if math.hypot(*crops.to_photo[i, :, 0]) < SMALL_SIDE:
            words.insert(0, "small face")
        if landmarks is not None and abs(nose_offset(landmarks)) > TURNED_ABOVE:
            words.append("turned away")
        # What is small, blurred, pale or turned is unclear for that reason.
        if (
            landmarks is not None
            and not words
            and _mouth_is_unclear(crops.grey[i], crop_points(landmarks, crops.to_photo[i]))
        ):
            words.append("unclear mouth")
        if faces.score[i] == 1:  # no detector is so sure: a person said so
            words.append("not detected")
        elif landmarks is not None and faces.score[i] < DOUBTED_BELOW:  # YuNet's score, not Haar's
            words.append("unclear face")
        found.append(tuple(words))
    return tuple(found)


def nose_offset(landmarks: NDArray[np.float32]) -> float:
    """Sideways distance of the nose from the eyes' middle, in eye distances; 0 is frontal."""
    eyes = landmarks[1] - landmarks[0]
    distance = float(np.hypot(*eyes))
    middle = (landmarks[0] + landmarks[1]) / 2
    # Eyes in one place are a profile: as turned as can be.
    return float((landmarks[2] - middle) @ eyes / distance**2) if distance > 1e-3 else 1.0


def _of_pixels(grey: NDArray[np.uint8]) -> list[str]:
    pixels = grey.astype(np.float32)
    words = []
    if cv2.Laplacian(pixels, cv2.CV_32F).var() < BLURRED_BELOW * pixels.var():
        words.append("blurred")
    if pixels.mean() < DARK_BELOW:
        words.append("dark")
    elif pixels.mean() > BRIGHT_ABOVE:
        words.append("too bright")
    if pixels.std() < FLAT_BELOW:
        words.append("little contrast")
    # What is dark, bright or pale is without shading for that reason.
    if not words and _shadeless(pixels) > SHADELESS_ABOVE:
        words.append("may be a drawing")
    return words


def _shadeless(pixels: NDArray[np.float32]) -> float:
    """Share of (48, 48) grey levels that differ by at most 1 from those to the right and below."""
    across = np.abs(np.diff(pixels, axis=1))[:-1] <= 1
    down = np.abs(np.diff(pixels, axis=0))[:, :-1] <= 1
    return float((across & down).mean())


def _mouth_is_unclear(grey: NDArray[np.uint8], landmarks: NDArray[np.float64]) -> bool:
    """Whether nothing like lips or teeth is where the mouth should be: it is covered, or pale.

    Args:
        grey: (48, 48), one crop.
        landmarks: (5, 2) in the crop's [0, 1] x [0, 1].
    """
    unit, across, down = face_axes(landmarks * GREY_SIDE)
    mouth = landmarks[3:].mean(axis=0) * GREY_SIDE
    # A square of `unit`, a little more of it below the mouth's middle than above.
    step = np.column_stack([across, down]) * unit / MOUTH_GRID
    first = mouth - (across / 2 + 0.45 * down) * unit + step @ [0.5, 0.5] - 0.5
    around = cv2.warpAffine(
        grey.astype(np.float32),
        np.column_stack([step, first]),
        (MOUTH_GRID, MOUTH_GRID),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    rows = around[:, MOUTH_GRID // 4 : -MOUTH_GRID // 4].mean(axis=1)
    line = max(_dip(rows), _dip(-rows))  # lips are dark, teeth and wet lips bright
    along = float(np.abs(np.diff(around, axis=1)).mean())
    spread = float(grey.std())
    return line < LINE_BELOW * spread and along < ALONG_BELOW * spread


def _dip(values: NDArray[Any]) -> float:
    """How far the deepest of (n,) values lies below the highest ones on both of its sides."""
    before = np.maximum.accumulate(values)
    after = np.maximum.accumulate(values[::-1])[::-1]
    return float((np.minimum(before, after) - values).max())
