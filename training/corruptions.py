"""Eight ways in which a camera spoils a face, each at three levels.

Levels are chosen for 48 px crops: the first is barely seen, the last leaves the face readable to
a person with effort.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]


def corrupt(grey: Grey, name: str, level: int) -> Grey:
    """The corrupted crops, the same for the same input.

    Args:
        grey: (N, 48, 48) uint8.
        name: a key of CORRUPTIONS.
        level: 1, 2 or 3.
    """
    function, values = CORRUPTIONS[name]
    generator = np.random.default_rng(level)
    changed = np.stack([function(image, values[level - 1], generator) for image in grey])
    return np.clip(changed, 0, 255).round().astype(np.uint8)


def _blur(image: Grey, sigma: float, _: np.random.Generator) -> NDArray[np.generic]:
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def _motion_blur(image: Grey, length: float, generator: np.random.Generator) -> NDArray[np.generic]:
    """A line of `length` px in a random direction."""
    side = int(length) | 1
    kernel = np.zeros((side, side), np.float32)
    angle, middle = generator.uniform(0, np.pi), side // 2
    end = np.array([np.cos(angle), np.sin(angle)]) * middle
    a, b = (tuple(int(v) for v in np.round(middle + sign * end)) for sign in (-1, 1))
    cv2.line(kernel, a, b, 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def _noise(image: Grey, sigma: float, generator: np.random.Generator) -> NDArray[np.generic]:
    return image + generator.normal(0, sigma, image.shape)


def _low_resolution(image: Grey, side: float, _: np.random.Generator) -> NDArray[np.generic]:
    small = cv2.resize(image, (int(side), int(side)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape, interpolation=cv2.INTER_LINEAR)


def _brightness(image: Grey, gain: float, generator: np.random.Generator) -> NDArray[np.generic]:
    """Darker with the sensor's noise, or brighter until it clips."""
    return image * gain + generator.normal(0, 3, image.shape)


def _jpeg(image: Grey, quality: float, _: np.random.Generator) -> NDArray[np.generic]:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))


def _occlusion(image: Grey, share: float, generator: np.random.Generator) -> NDArray[np.generic]:
    """A grey square over `share` of the area, anywhere."""
    side = round(share**0.5 * len(image))
    y, x = generator.integers(0, len(image) - side + 1, 2)
    covered = image.copy()
    covered[y : y + side, x : x + side] = 128
    return covered


Corruption = Callable[[Grey, float, np.random.Generator], NDArray[np.generic]]

CORRUPTIONS: dict[str, tuple[Corruption, tuple[float, float, float]]] = {
    "blur": (_blur, (0.7, 1.2, 2.0)),
    "motion blur": (_motion_blur, (3, 5, 9)),
    "noise": (_noise, (8, 16, 32)),
    "low resolution": (_low_resolution, (32, 20, 12)),
    "dark": (_brightness, (0.6, 0.35, 0.15)),
    "bright": (_brightness, (1.4, 1.9, 2.6)),
    "jpeg": (_jpeg, (40, 20, 8)),
    "occlusion": (_occlusion, (0.06, 0.14, 0.25)),
}
"""What is done, and its strength at levels 1 to 3: sigma px, length px, sigma of 255, side px,
gain, gain, quality, share of the area."""
