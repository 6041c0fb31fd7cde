"""Over which regions of a face a map is spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_demo.crops import crop_points, face_axes
from fer_demo.saliency import Maps, enlarged
from fer_demo.types import GREY_SIDE, Crops, Faces

REGIONS = ("eyes and brows", "nose", "mouth", "rest")


@dataclass(frozen=True, slots=True, eq=False)
class RegionShares:
    """How a map's magnitude is spread over the regions of a face, in REGIONS' order.

    The eight shares of `towards` and `against` sum to 1, or are all 0 where the map is.
    """

    towards: NDArray[np.float64]
    """(4,) of the part above zero."""
    against: NDArray[np.float64]
    """(4,) of the part below zero."""
    area: NDArray[np.float64]
    """(4,) of the crop's area, sum 1: what a map that says nothing would show."""


def region_shares(values: Maps, faces: Faces, crops: Crops) -> tuple[RegionShares | None, ...]:
    """One a face; None where a face has no landmarks.

    Args:
        values: (N, h, w), one map a face.
        faces, crops: of the same photo.
    """
    fine = enlarged(values, GREY_SIDE)
    known = faces.has_landmarks()
    shares: list[RegionShares | None] = []
    for i in range(len(values)):
        if faces.landmarks is None or not known[i]:
            shares.append(None)
            continue
        region = region_of_pixels(crop_points(faces.landmarks[i], crops.to_photo[i]))
        total = float(np.abs(fine[i]).sum()) or 1.0
        shares.append(
            RegionShares(
                _by_region(fine[i].clip(min=0), region) / total,
                _by_region((-fine[i]).clip(min=0), region) / total,
                _by_region(np.ones_like(fine[i]), region) / region.size,
            )
        )
    return tuple(shares)


def _by_region(values: Maps, region: NDArray[np.int64]) -> NDArray[np.float64]:
    """The sum of (h, w) values over each of REGIONS."""
    return np.bincount(region.ravel(), values.ravel(), len(REGIONS)).astype(np.float64)


def region_of_pixels(landmarks: NDArray[np.float64], side: int = GREY_SIDE) -> NDArray[np.int64]:
    """Which of REGIONS each pixel of a crop belongs to.

    Boxes in the face's own frame (its axes along the eyes and across them), in units of its size,
    wide enough to hold brows and lips. They say "around the mouth", not where a lip ends.

    Args:
        landmarks: (5, 2) in the crop's [0, 1] x [0, 1].

    Returns:
        (side, side) index into REGIONS.
    """
    left, right, nose, left_mouth, right_mouth = landmarks
    eyes, mouth = (left + right) / 2, (left_mouth + right_mouth) / 2
    eye_distance = float(np.linalg.norm(right - left))
    unit, across, down = face_axes(landmarks)
    at = (np.arange(side) + 0.5) / side
    pixels = np.stack(np.meshgrid(at, at), axis=-1)  # (side, side, 2), x then y

    def inside(
        middle: NDArray[np.float64], half_width: float, above: float, below: float
    ) -> NDArray[np.bool_]:
        x, y = (pixels - middle) @ across / unit, (pixels - middle) @ down / unit
        return (np.abs(x) <= half_width) & (y >= -above) & (y <= below)

    eye_half = eye_distance / 2 / unit + 0.35
    mouth_half = float(np.linalg.norm(right_mouth - left_mouth)) / 2 / unit + 0.2
    region = np.full((side, side), REGIONS.index("rest"), np.int64)
    to_tip = float((nose - eyes) @ down) / unit
    region[inside(nose, 0.35, max(to_tip, 0.2), 0.2)] = REGIONS.index("nose")
    region[inside(mouth, mouth_half, 0.25, 0.35)] = REGIONS.index("mouth")
    region[inside(eyes, eye_half, 0.5, 0.25)] = REGIONS.index("eyes and brows")
    return region
