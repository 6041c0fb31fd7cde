"""Pictures made smaller and larger, everywhere by the same filters."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def scaled(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3) uint8 times `scale`, each side at least 1 px.

    Smaller ones are averages over pixels, larger ones cubic: networks take the traces of linear
    interpolation for features.
    """
    if scale == 1:
        return pixels
    height, width = pixels.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, size, interpolation=method), np.uint8)
