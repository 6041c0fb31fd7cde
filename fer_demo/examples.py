"""Pictures to try at one click, made in code from scikit-image's astronaut.

The photograph shows Eileen Collins, NASA, 1993, and is in the public domain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.data import astronaut

from fer_demo.types import Photo

FACE = (224.0, 120.0)
"""x and y of the face's middle in the photograph, px."""


@dataclass(frozen=True, slots=True)
class Example:
    """A picture that a person can try."""

    id: str
    """In the URL."""
    title: str
    name: str
    """Stands where a file's name would."""
    alt: str
    make: Callable[[], NDArray[np.uint8]]

    def photo(self) -> Photo:
        """The picture, made anew."""
        return Photo(self.make())


@cache
def _astronaut() -> NDArray[np.uint8]:
    return np.asarray(astronaut(), np.uint8)


def one_face() -> NDArray[np.uint8]:
    """(512, 512, 3) uint8: the photograph as it is."""
    return _astronaut().copy()


def several_faces() -> NDArray[np.uint8]:
    """(640, 950, 3) uint8: a contact sheet of the same face, six sizes, lights and tilts."""
    sheet = np.full((640, 950, 3), 255, np.uint8)
    # side of the square cut from the photograph (smaller is closer), tilt in degrees, gain, mirror
    tiles = (
        (200, 0, 1.0, False),
        (250, -14, 0.4, True),
        (330, 8, 1.0, False),
        (240, 12, 1.3, True),
        (460, 0, 1.0, True),
        (180, -8, 0.65, False),
    )
    for index, tile in enumerate(tiles):
        row, column = divmod(index, 3)
        top, left = 10 + 315 * row, 10 + 315 * column
        sheet[top : top + 305, left : left + 300] = _tile(*tile)
    return sheet


def uncertain_face() -> NDArray[np.uint8]:
    """(512, 512, 3) uint8: the head in bad light, out of focus; too little is left to be sure.

    At 19 px all networks of ours doubt, and both detectors still find the face.
    """
    head = _astronaut()[0:256, 96:352]
    blurred = cv2.resize(head, (19, 19), interpolation=cv2.INTER_AREA)
    large = cv2.resize(blurred, (512, 512), interpolation=cv2.INTER_CUBIC)
    return np.clip(0.3 * large, 0, 255).astype(np.uint8)


def _tile(side: int, tilt: float, gain: float, mirrored: bool) -> NDArray[np.uint8]:
    """(305, 300, 3) uint8: the face within a tilted square of the photograph, `side` px wide."""
    photograph = _astronaut()
    zoom = 300 / side
    to_tile = cv2.getRotationMatrix2D(FACE, tilt, zoom)
    # The face stands above the middle of a wide square, so that the square stays in the photograph.
    shift = np.array([150, min(150, zoom * (FACE[1] - 2))]) - FACE
    to_tile = np.column_stack([to_tile[:, :2], to_tile[:, 2] + shift])
    tile = cv2.warpAffine(
        photograph, to_tile, (300, 305), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT
    )
    tile = tile[:, ::-1] if mirrored else tile
    return np.clip(tile * gain, 0, 255).astype(np.uint8)


EXAMPLES: tuple[Example, ...] = (
    Example("one", "One face", "one-face.png", "A smiling astronaut in her suit.", one_face),
    Example(
        "several",
        "Several faces",
        "several-faces.png",
        "Six pictures of the astronaut's face: near and far, dark and bright, tilted.",
        several_faces,
    ),
    Example(
        "uncertain",
        "A dark one",
        "dark-face.png",
        "The astronaut's face, dark and out of focus.",
        uncertain_face,
    ),
)
