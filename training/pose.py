"""Accuracy by how far a face is turned and by how large it stands in its crop."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_demo.faces import FaceDetector
from fer_demo.quality import nose_offset
from fer_demo.types import Photo
from training.formats import DataError

YAW_EDGES = (0.1, 0.2, 0.35)
"""Of |yaw|, the nose's offset from between the eyes over the eyes' distance: half of FER2013's
faces are below 0.06, a tenth above 0.22."""

SIZE_EDGES = (15.0, 18.0, 21.0)
"""Of the eyes' distance, px of 48; FER2013's median is 18."""

THRESHOLD = 0.5


def yaw_and_size(
    grey: NDArray[np.uint8], detector: FaceDetector
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N,) |yaw| and (N,) eye distance in px of 48; NaN where no landmarks are found.

    Args:
        grey: (N, 48, 48) uint8.
        detector: one that gives landmarks.

    Raises:
        DataError: the detector gives none.
    """
    if detector.notice is not None:
        raise DataError(f"Pose needs the landmarks of the better face detector. {detector.notice}")
    yaw, size = np.full(len(grey), np.nan), np.full(len(grey), np.nan)
    for row, crop in enumerate(grey):
        faces = detector.detect(Photo(np.repeat(crop[:, :, None], 3, axis=2)), THRESHOLD)
        if len(faces) == 0 or faces.landmarks is None:
            continue
        landmarks = faces.landmarks[faces.score.argmax()]
        size[row] = np.hypot(*(landmarks[1] - landmarks[0]))
        yaw[row] = abs(nose_offset(landmarks))
    return yaw, size


def accuracy_by_pose(
    yaw: NDArray[np.float64], size: NDArray[np.float64], right: NDArray[np.bool_]
) -> dict[str, Any]:
    """Images and the share answered rightly, by bin of yaw and of size and where no face is found.

    Args:
        yaw, size: (N,) of `yaw_and_size`.
        right: (N,) whether the answer is.
    """
    missed = np.isnan(yaw)
    return {
        "yaw": _by_bin(yaw, YAW_EDGES, right),
        "size": _by_bin(size, SIZE_EDGES, right),
        "no face found": share_right(missed, right),
    }


def _by_bin(
    value: NDArray[np.float64], edges: tuple[float, ...], right: NDArray[np.bool_]
) -> dict[str, Any]:
    limits = (-np.inf, *edges, np.inf)
    names = [f"below {edges[0]:g}"]
    names += [f"{a:g} to {b:g}" for a, b in pairwise(edges)]
    names += [f"{edges[-1]:g} and more"]
    return {
        name: share_right((value >= low) & (value < high), right)
        for name, (low, high) in zip(names, pairwise(limits), strict=True)
    }


def share_right(rows: NDArray[np.bool_], right: NDArray[np.bool_]) -> dict[str, Any]:
    """How many of (N,) images are meant, and the share of these answered rightly; None of none."""
    n = int(rows.sum())
    return {"n": n, "accuracy": round(float(right[rows].mean()), 5) if n else None}
