"""Where the faces are: YuNet, or OpenCV's Haar cascade where YuNet's file cannot be had."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_demo import yunet
from fer_demo.errors import ModelUnavailable
from fer_demo.scaling import scaled
from fer_demo.settings import Settings
from fer_demo.types import Faces, Photo
from fer_demo.weights import Progress, detector_file

DEFAULT_THRESHOLD = 0.6
"""YuNet gives clear frontal faces 0.9 and more, what is worth a look 0.6."""

PHOTO_SIDES = (1280, 320)
"""Long sides at which a photo is searched, px. The large one finds small faces; the small one
finds those that fill the picture, which are beyond YuNet's largest scale otherwise. Of 260 faces of
20 px and more in 20 crowds of `bench.peer` 99.6 % are found at 1280, 96.9 % at 1120 and 94.2 % at
1024."""

LIVE_SIDES = (320,)

SMALLEST_SIDE = 192
"""Smaller pictures are enlarged to this long side, px: at 48 px YuNet finds 64 % of FER2013's
faces, at 192 px 99 %."""

OVERLAP = 0.3
"""Boxes with a larger intersection over union are one face."""

SIMPLER_NOTICE = "Using the simpler face detector: small or turned faces may be missed. {reason}"


class FaceDetector(ABC):
    """Finds faces; safe to share between threads."""

    name: str
    notice: str | None = None
    """A sentence for the person where this is not the better detector."""

    def detect(
        self,
        photo: Photo,
        threshold: float = DEFAULT_THRESHOLD,
        sides: tuple[int, ...] = PHOTO_SIDES,
    ) -> Faces:
        """Faces with a score of at least `threshold`, left to right.

        Args:
            photo: N >= 0 faces in it.
            threshold: in (0, 1).
            sides: the long sides at which the photo is searched, px; a larger photo is reduced.
        """
        found, whole = [], self._pixels(photo)
        for scale in self._scales(photo, sides):
            pixels = scaled(whole, scale)
            rows = self._search(pixels, threshold)
            rows[:, :14:2] *= photo.width / pixels.shape[1]
            rows[:, 1:14:2] *= photo.height / pixels.shape[0]
            found.append(rows)
        return _tidy(photo, np.concatenate(found))

    def _scales(self, photo: Photo, sides: tuple[int, ...]) -> list[float]:
        """One a side, never enlarging beyond what a small picture needs, without repeats."""
        longest = max(photo.width, photo.height)
        enlarged = max(1.0, SMALLEST_SIDE / longest)
        return sorted({min(enlarged, side / longest) for side in sides}, reverse=True)

    def _pixels(self, photo: Photo) -> NDArray[np.uint8]:
        """What is searched: (H, W, 3) RGB, or (H, W) grey."""
        return photo.rgb

    @abstractmethod
    def _search(self, pixels: NDArray[np.uint8], threshold: float) -> NDArray[np.float32]:
        """See `yunet.Search`; NaN for landmarks that are not known."""


def load_detector(
    settings: Settings, progress: Progress | None = None, sides: tuple[int, ...] = PHOTO_SIDES
) -> FaceDetector:
    """YuNet where its file is cached or can be fetched in time, else the Haar cascade.

    Args:
        progress: called with bytes done and bytes in all while the file is fetched.
        sides: those at which it will be asked to search.
    """
    try:
        return YuNet(detector_file(settings, progress), settings.threads, sides)
    except ModelUnavailable as error:
        return Haar(notice=SIMPLER_NOTICE.format(reason=error))


class YuNet(FaceDetector):
    """Wu et al. 2023, doi:10.1007/s11633-023-1423-y."""

    name = "yunet"

    def __init__(self, model: Path, threads: int = 2, sides: tuple[int, ...] = PHOTO_SIDES):
        # A network that is given pictures of two sizes by turns is laid out anew for each, which
        # takes longer than the search of the small one.
        self._networks = {side: yunet.load(model, threads) for side in sorted(sides)}

    def _search(self, pixels: NDArray[np.uint8], threshold: float) -> NDArray[np.float32]:
        fit = (side for side in self._networks if max(pixels.shape) <= side)
        return self._networks[next(fit, max(self._networks))](pixels, threshold)


class Haar(FaceDetector):
    """Viola and Jones 2001, OpenCV's frontal face cascade: the framing of FER2013 itself."""

    name = "haar"

    def __init__(self, notice: str | None = None):
        path = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
        self._cascade = cv2.CascadeClassifier(str(path))
        self._lock = threading.Lock()
        self.notice = notice

    def _scales(self, photo: Photo, sides: tuple[int, ...]) -> list[float]:
        # The cascade searches all sizes at once.
        return super()._scales(photo, sides)[:1]

    def _pixels(self, photo: Photo) -> NDArray[np.uint8]:
        return np.asarray(cv2.cvtColor(photo.rgb, cv2.COLOR_RGB2GRAY), np.uint8)

    def _search(self, pixels: NDArray[np.uint8], threshold: float) -> NDArray[np.float32]:
        with self._lock:
            xywh, _, weights = self._cascade.detectMultiScale3(
                pixels, scaleFactor=1.1, minNeighbors=5, minSize=(24, 24), outputRejectLevels=True
            )
        # The last stage's weight has no upper end; this only brings it onto the scale of 0 to 1.
        weight = np.asarray(weights, np.float32).reshape(-1).clip(0)
        rows = np.full((len(weight), 15), np.nan, np.float32)
        rows[:, :4] = np.asarray(xywh, np.float32).reshape(-1, 4)
        rows[:, 14] = weight / (weight + 2)
        return rows[rows[:, 14] >= threshold]


def not_marked(faces: Faces, added: NDArray[np.float32] | None) -> Faces:
    """The faces but those that a marked box, (K, 4), stands for: both would be one face twice."""
    if added is None or len(added) == 0:
        return faces
    overlap = overlaps(faces.xyxy.astype(float), added.astype(float)).max(axis=1)
    return faces[np.flatnonzero(overlap <= OVERLAP)]


def with_added(faces: Faces, added: NDArray[np.float32] | None) -> Faces:
    """The faces and those a person marked, (K, 4) boxes in photo pixels, left to right."""
    if added is None or len(added) == 0:
        return faces
    landmarks = None
    if faces.landmarks is not None:
        unknown = np.full((len(added), 5, 2), np.nan, np.float32)
        landmarks = np.concatenate([faces.landmarks, unknown])
    xyxy = np.concatenate([faces.xyxy, added.astype(np.float32)])
    score = np.concatenate([faces.score, np.ones(len(added), np.float32)])
    return Faces(xyxy, score, landmarks)[np.argsort(xyxy[:, 0], kind="stable")]


def overlaps(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, M) intersections over unions of (N, 4) and (M, 4) boxes [x1, y1, x2, y2]."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = (high - low).clip(0).prod(axis=2)
    area = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, other)]
    return np.asarray(shared / (area[0][:, None] + area[1][None, :] - shared))


def largest(faces: Faces, limit: int) -> tuple[Faces, int]:
    """The `limit` largest faces in their order, and how many were left out."""
    if len(faces) <= limit:
        return faces, 0
    area = np.prod(faces.xyxy[:, 2:] - faces.xyxy[:, :2], axis=1)
    kept = np.sort(np.argsort(-area, kind="stable")[:limit])  # still left to right
    return faces[kept], len(faces) - limit


def _tidy(photo: Photo, rows: NDArray[np.float32]) -> Faces:
    """Inside the photo, one box a face, left to right.

    Args:
        photo: where they were found.
        rows: (N, 15), see `yunet.Search`, photo pixels.
    """
    score, landmarks = rows[:, 14], rows[:, 4:14].reshape(-1, 5, 2)
    corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
    xyxy = corners.clip(0, [photo.width, photo.height, photo.width, photo.height])
    real = np.isfinite(rows[:, [0, 1, 2, 3, 14]]).all(axis=1)
    real &= (xyxy[:, 2:] - xyxy[:, :2] >= 1).all(axis=1)
    best_first = np.flatnonzero(real)[np.argsort(-score[real], kind="stable")]
    boxes = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1)[best_first]
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), score[best_first].tolist(), 0.0, OVERLAP)
    index = best_first[np.asarray(kept, np.int64).reshape(-1)]
    index = index[np.argsort(xyxy[index, 0], kind="stable")]
    return Faces(
        xyxy[index].astype(np.float32),
        score[index].clip(0, 1).astype(np.float32),
        landmarks[index] if np.isfinite(landmarks).any() else None,
    )
