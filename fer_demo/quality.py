"""What speaks against trusting a prediction: a poor picture of a face, or none of a face at all.

Each threshold lies where FER2013's own faces end (percentiles over its PublicTest images): beyond
it a network is asked about something that it was not taught. How many drawings, masks and things
are warned of or answered "uncertain" is measured by `python -m training.outside`.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_demo.types import Crops, Faces

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


def face_warnings(faces: Faces, crops: Crops) -> tuple[tuple[str, ...], ...]:
    """For each face, what speaks against its prediction, as short phrases; often nothing."""
    has_landmarks, landmarks = faces.has_landmarks(), faces.landmarks
    found = []
    for i in range(len(faces)):
        words = _of_pixels(crops.grey[i])
        if faces.score[i] == 1:  # no detector is so sure: a person said so
            words.append("not detected")
        elif has_landmarks[i] and faces.score[i] < DOUBTED_BELOW:  # YuNet's score, not Haar's
            words.append("unclear face")
        if math.hypot(*crops.to_photo[i, :, 0]) < SMALL_SIDE:
            words.insert(0, "small face")
        offset = nose_offset(landmarks[i]) if landmarks is not None and has_landmarks[i] else 0.0
        if abs(offset) > TURNED_ABOVE:
            words.append("turned away")
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
