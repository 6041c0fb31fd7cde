"""A film of moving faces, made in code from scikit-image's astronaut (NASA, public domain)."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.data import astronaut

WIDTH, HEIGHT = 640, 480
HEAD = (slice(10, 210), slice(124, 324))
"""The astronaut's head and collar, 200 px square; the face is 90 px wide."""

TINTS = ((1.0, 1.0, 1.0), (0.8, 0.9, 1.1), (1.1, 0.95, 0.8), (0.75, 0.75, 0.75))


@lru_cache(maxsize=1)
def _head() -> NDArray[np.uint8]:
    """(200, 200, 3) uint8; a frame must not wait for a file to be decoded."""
    return np.asarray(astronaut()[HEAD], np.uint8)


def frame(faces: int, seconds: float) -> NDArray[np.uint8]:
    """One frame.

    Args:
        faces: 0 to 4, side by side; each sways, nears and tilts in its own time.
        seconds: of the film.

    Returns:
        (480, 640, 3) uint8, sRGB.
    """
    rows = np.linspace(70, 150, HEIGHT)[:, None, None]
    out = np.ascontiguousarray(np.broadcast_to(rows, (HEIGHT, WIDTH, 3)), dtype=np.uint8)
    head = _head()
    for i in range(faces):
        room = WIDTH / faces
        side = min(0.85 * room, 330.0) * (0.88 + 0.12 * math.sin(0.9 * seconds + i))
        x = (i + 0.5) * room + 0.07 * room * math.sin(1.3 * seconds + 2 * i)
        y = HEIGHT / 2 + 30 * math.sin(1.1 * seconds + i)
        to_frame = cv2.getRotationMatrix2D(
            (100, 100), 6 * math.sin(0.7 * seconds + i), side / len(head)
        )
        to_frame[:, 2] += np.array([x, y]) - 100
        tinted = np.clip(head * TINTS[i], 0, 255).astype(np.uint8)
        cv2.warpAffine(
            tinted, to_frame, (WIDTH, HEIGHT), out, cv2.INTER_AREA, cv2.BORDER_TRANSPARENT
        )
    return out
