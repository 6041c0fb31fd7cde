"""Faces in FER2013's framing, and the one way from a 48 px crop to a network's input.

Used by training and app alike, so that what a network is asked is what it was taught.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fer_demo.scaling import scaled
from fer_demo.types import COLOUR_SIDE, GREY_SIDE, Crops, Faces, Photo

INPUT_MEAN, INPUT_STD = 0.5, 0.5
"""Of our own networks; grey levels in [0, 1] become [-1, 1]."""


def network_input(
    grey: Tensor,
    size: int,
    mean: float = INPUT_MEAN,
    std: float = INPUT_STD,
    warp: Tensor | None = None,
) -> Tensor:
    """Upscale grey crops to a network's input, bilinearly, and normalise them.

    Args:
        grey: (N, 48, 48) uint8.
        size: side of the network's input, px.
        mean, std: of grey levels in [0, 1].
        warp: (N, 2, 3) maps from output to input coordinates, both in [-1, 1], for augmentation;
            None is the identity and gives the same values as an identity map.

    Returns:
        (N, 1, size, size) float32.
    """
    x = (grey.unsqueeze(1).float() / 255 - mean) / std
    if warp is None:
        return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
    grid = F.affine_grid(warp, [len(x), 1, size, size], align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


HAAR_GROWTH = 1.03
"""FER2013 was framed by OpenCV's Haar detector; its crops are 3 % larger than that box."""

MAX_TILT = math.radians(15)
"""FER2013's faces are as tilted as people were (97 % within 20 degrees) and training rotates them
by 15 more; only what goes beyond is turned upright."""

# FER2013's framing in the frame of a YuNet box: origin at its centre, its height the unit. The
# crop is a square; its centre and side are linear in the landmarks, which says how the framing
# moves with yaw, pitch and an open mouth. Terms that change sign in a mirror move x only, the
# others y and the side, so a mirrored face gets the mirrored crop. `python -m training.framing`
# fits such terms to training images at 4x and prints how far the corners of held-out crops move. On
# 1,379 of them: median 1.83 px of 48 with these terms, 1.83 with the box alone, 1.53 with terms
# fitted to the boxes as they are; of these boxes 64 % are cut off by the picture's border, which
# tells a fit where the crop ends. A photo's boxes are not.
_X_TERMS = np.array([-0.188, 0.342, -0.016, 1.298, -1.504])
"""Of `framing_terms`: x of the eyes' middle, nose, mouth's middle; slope of eyes and of mouth."""
_Y_TERMS = np.array([0.024, -0.158, 0.073, -0.197, 0.148, 0.080, -0.056])
"""Of the y of the same three, distance of the eyes, width of the mouth, width of the box, 1."""
_SIDE_TERMS = np.array([0.923, -0.689, -0.298, -0.389, -0.075, 0.278, 1.208])
TERMS_IN_USE = _X_TERMS, _Y_TERMS, _SIDE_TERMS


def align(photo: Photo, faces: Faces) -> Crops:
    """Cut the faces out of a photo in FER2013's framing.

    A crop's pixels are averages over photo pixels (area filter), as FER2013's were, and are
    interpolated (cubic) where the face has fewer; beyond the photo's border its last pixels are
    repeated.
    """
    has_landmarks = faces.has_landmarks()
    to_photo = np.zeros((len(faces), 2, 3))
    grey = np.zeros((len(faces), GREY_SIDE, GREY_SIDE), np.uint8)
    colour = np.zeros((len(faces), COLOUR_SIDE, COLOUR_SIDE, 3), np.uint8)
    for i, box in enumerate(faces.xyxy.astype(np.float64)):
        if faces.landmarks is not None and has_landmarks[i]:
            to_photo[i] = framing(box, faces.landmarks[i].astype(np.float64))
        else:
            side = (box[2:] - box[:2]).max() * HAAR_GROWTH
            to_photo[i] = _square((box[:2] + box[2:]) / 2, side, 0.0)
        grey[i], colour[i] = _cut(photo.rgb, to_photo[i])
    return Crops(grey, colour, to_photo)


def whole_picture(photo: Photo) -> Crops:
    """The photo's central square as one face; a 48x48 picture comes out as it went in."""
    side = min(photo.width, photo.height)
    to_photo = _square(np.array([photo.width, photo.height]) / 2, side, 0.0)
    grey, colour = _cut(photo.rgb, to_photo)
    return Crops(grey[None], colour[None], to_photo[None])


def framing(box: NDArray[np.float64], landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """The (2, 3) map of the unit square onto the crop of one face, photo pixels.

    Args:
        box: (4,) [x1, y1, x2, y2] of YuNet.
        landmarks: (5, 2), both in photo pixels.
    """
    centre, (width, height) = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    tilt = eye_tilt(landmarks)
    angle = math.copysign(max(0.0, abs(tilt) - MAX_TILT), tilt)
    upright = _rotation(-angle)
    points = (landmarks - centre) @ upright.T / height
    odd, even = framing_terms(points, width / height)
    offset = np.array([_X_TERMS @ odd, _Y_TERMS @ even]) * height
    # The terms hold for faces like FER2013's; a wild set of landmarks must not lose the face.
    side = float(np.clip(_SIDE_TERMS @ even, 0.75, 1.4)) * height
    offset = offset.clip(-0.25 * height, 0.25 * height)
    return _square(centre + upright.T @ offset, side, angle)


def framing_terms(
    points: NDArray[np.float64], aspect: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the framing is a sum of: (..., 5) that change sign in a mirror, (..., 7) that do not.

    Args:
        points: (..., 5, 2) landmarks from the box's centre, upright, in heights of the box.
        aspect: (...) widths of the boxes over their heights.
    """
    left_eye, right_eye, nose, left_mouth, right_mouth = np.moveaxis(points, -2, 0)
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    across, smile = right_eye - left_eye, right_mouth - left_mouth
    odd = (eyes[..., 0], nose[..., 0], mouth[..., 0], across[..., 1], smile[..., 1])
    even = (eyes[..., 1], nose[..., 1], mouth[..., 1], across[..., 0], smile[..., 0], aspect)
    return np.stack(odd, -1), np.stack([*even, np.ones_like(aspect)], -1)


def crop_points(photo_points: NDArray[Any], to_photo: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P, 2) photo pixels to the crop's [0, 1] x [0, 1], by the inverse of one (2, 3) map."""
    offset = (photo_points - to_photo[:, 2]).T
    return np.asarray(np.linalg.solve(to_photo[:, :2], offset).T, np.float64)


def face_axes(
    landmarks: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """A face's size and its directions along the eyes and down from them, of (5, 2) landmarks.

    A turned face brings its eyes together, a lowered one its eyes and mouth: the size is the larger
    of these two distances.
    """
    left, right, _, left_mouth, right_mouth = landmarks
    eye_distance = float(np.linalg.norm(right - left))
    to_mouth = float(np.linalg.norm((left_mouth + right_mouth) / 2 - (left + right) / 2))
    across = (right - left) / max(eye_distance, 1e-6)
    return max(eye_distance, to_mouth, 1e-6), across, np.array([-across[1], across[0]])


def eye_tilt(landmarks: NDArray[np.float64]) -> float:
    """Angle of the line through the eyes of (5, 2) landmarks, radians, positive clockwise."""
    across = landmarks[1] - landmarks[0]
    return math.atan2(across[1], across[0])


def _rotation(angle: float) -> NDArray[np.float64]:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def _square(centre: NDArray[np.float64], side: float, angle: float) -> NDArray[np.float64]:
    linear = _rotation(angle) * side
    return np.column_stack([linear, centre - linear @ [0.5, 0.5]])


def _cut(
    rgb: NDArray[np.uint8], to_photo: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(48, 48) grey and (224, 224, 3) colour of one crop."""
    side = math.hypot(*to_photo[:, 0])
    # Sampled about as finely as the photo, in a whole multiple of 48, then averaged down. Smaller
    # faces are enlarged cubically: networks take the traces of a linear enlargement for features,
    # and then name 60 % of faces of 18 to 26 px as people do, not 80 (training/README.md).
    fine = GREY_SIDE * int(np.clip(math.ceil(side / GREY_SIDE - 1e-6), 1, 32))
    # Pixel centres: pixel i of the fine crop is at (i + 0.5) / fine, of the photo at i + 0.5.
    linear, shift = to_photo[:, :2] / fine, to_photo[:, 2]
    matrix = np.column_stack([linear, shift + linear @ [0.5, 0.5] - 0.5])
    warped = cv2.warpAffine(
        rgb,
        matrix,
        (fine, fine),
        flags=(cv2.INTER_CUBIC if side < GREY_SIDE else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    pixels = np.asarray(warped, np.uint8)
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    return scaled(grey, GREY_SIDE / len(grey)), scaled(pixels, COLOUR_SIDE / len(pixels))
