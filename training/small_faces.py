"""Small faces: FER2013's, as the app cuts them out of a coarse picture.

Every crop is brought into a picture in which it is 12 to 48 px wide and lies between the pixels,
and is cut out again by `fer_demo.crops.align`. Where it lies is known: what a detector finds is not
measured.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_demo.crops import HAAR_GROWTH, align
from fer_demo.types import GREY_SIDE, Faces, Photo

WIDTHS = ((36, 48), (26, 36), (18, 26), (12, 18))
"""Ranges of the crops' widths, photo px."""

FINER = 8
"""Points that a pixel of the coarse picture averages over, in each direction."""

Grey = NDArray[np.uint8]


def coarse(crop: Grey, side: float, corner: NDArray[np.float64]) -> Photo:
    """A picture in which the crop (48, 48) is `side` px wide, from `corner` (2,) in px on."""
    size = math.ceil(side + corner.max()) + 1
    step = GREY_SIDE / (side * FINER)  # crop px for a fine one
    shift = 0.5 * step - 0.5 - corner * FINER * step
    fine = cv2.warpAffine(
        crop,
        np.array([[step, 0, shift[0]], [0, step, shift[1]]]),
        (size * FINER, size * FINER),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    small = cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA)
    return Photo(np.asarray(cv2.cvtColor(small, cv2.COLOR_GRAY2RGB), np.uint8))


def cut_again(grey: Grey, narrowest: float, widest: float) -> Grey:
    """(N, 48, 48) to the same from coarse pictures, each of a width in this range, px."""
    rng = np.random.default_rng(0)
    out = np.empty_like(grey)
    for i, crop in enumerate(grey):
        side, corner = rng.uniform(narrowest, widest), 1 + rng.random(2)
        # Without landmarks the crop is a little larger than the box.
        middle, half = corner + side / 2, side / HAAR_GROWTH / 2
        box = np.concatenate([middle - half, middle + half]).astype(np.float32)
        faces = Faces(box[None], np.ones(1, np.float32))
        out[i] = align(coarse(crop, side, corner), faces).grey[0]
    return out


def by_width(grey: Grey) -> dict[str, Grey]:
    """Crops (N, 48, 48) by how wide they were in their picture; as they are first."""
    found = {f"{GREY_SIDE} px": grey}
    return found | {f"{low} to {high} px": cut_again(grey, low, high) for low, high in WIDTHS}
