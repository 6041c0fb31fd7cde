"""Faces are found where they are, at any size, and in reading order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from fer_demo.faces import (
    LIVE_SIDES,
    PHOTO_SIDES,
    FaceDetector,
    Haar,
    YuNet,
    largest,
    not_marked,
    with_added,
)
from fer_demo.images import read_photo
from fer_demo.types import Faces, Photo

FACE = np.array([175, 65, 275, 185])
"""Inside the astronaut's face, px."""


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    inter = np.prod(sides.clip(0))
    return inter / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inter)


@pytest.fixture(scope="module", params=["yunet", "haar"])
def detector(request: pytest.FixtureRequest) -> FaceDetector:
    return Haar() if request.param == "haar" else YuNet(request.getfixturevalue("yunet_file"))


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_a_face_is_found_where_it_is_at_any_picture_size(
    detector: FaceDetector, scale: float
) -> None:
    photo = Photo(cv2.resize(astronaut(), None, fx=scale, fy=scale))
    faces = detector.detect(photo)
    assert len(faces) == 1
    assert overlap(faces.xyxy[0] / scale, FACE) > 0.5


def test_a_picture_without_faces_has_none(detector: FaceDetector) -> None:
    assert len(detector.detect(Photo(np.full((300, 400, 3), 90, np.uint8)))) == 0


def test_faces_come_left_to_right(detector: FaceDetector) -> None:
    row = np.concatenate(
        [cv2.resize(astronaut()[:300, 90:390], (s, 300)) for s in (300, 280, 320)], 1
    )
    faces = detector.detect(Photo(row))
    assert len(faces) == 3
    assert (np.diff(faces.xyxy[:, 0]) > 0).all()


def test_yunet_finds_a_face_that_fills_a_large_picture(yunet_file: Path) -> None:
    close = cv2.resize(astronaut()[40:210, 140:310], (2400, 2400), interpolation=cv2.INTER_CUBIC)
    faces = YuNet(yunet_file).detect(Photo(close))
    assert len(faces) == 1
    assert (faces.xyxy[0, 2:] - faces.xyxy[0, :2]).min() > 1200


def test_yunet_gives_landmarks_from_the_pictures_left_to_its_right(yunet_file: Path) -> None:
    faces = YuNet(yunet_file).detect(Photo(astronaut()))
    assert faces.landmarks is not None
    left_eye, right_eye, nose, left_mouth, right_mouth = faces.landmarks[0]
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert left_eye[1] < nose[1] < left_mouth[1]


def test_a_detector_made_for_video_finds_there_what_that_for_photos_finds(
    yunet_file: Path, photos: Path
) -> None:
    photo = read_photo((photos / "two_people.jpg").read_bytes(), "two")
    for sides in (LIVE_SIDES, PHOTO_SIDES):  # it is asked for more than it was made for, too
        found, wanted = (
            detector.detect(photo, sides=sides)
            for detector in (YuNet(yunet_file, sides=LIVE_SIDES), YuNet(yunet_file))
        )
        assert len(found) == 2
        np.testing.assert_allclose(found.xyxy, wanted.xyxy, atol=1e-3)


def test_a_higher_threshold_never_finds_more(yunet_file: Path, photos: Path) -> None:
    photo = read_photo((photos / "two_people.jpg").read_bytes(), "two")
    detector = YuNet(yunet_file)
    counts = [len(detector.detect(photo, t)) for t in (0.3, 0.6, 0.9, 0.99)]
    assert counts == sorted(counts, reverse=True)
    assert counts[1] == 2
    assert counts[3] == 0


def test_one_detector_serves_many_threads(detector: FaceDetector) -> None:
    pictures = [Photo(cv2.resize(astronaut(), (side, side))) for side in (256, 384, 512, 640)] * 2
    alone = [detector.detect(p).xyxy for p in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = [faces.xyxy for faces in pool.map(detector.detect, pictures)]
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_a_marked_face_takes_its_place_among_the_found_ones() -> None:
    found = Faces(
        np.array([[0, 0, 10, 10], [50, 0, 60, 10]], np.float32),
        np.full(2, 0.9, np.float32),
        np.zeros((2, 5, 2), np.float32),
    )
    faces = with_added(found, np.array([[20, 0, 30, 10]], np.float32))
    assert faces.xyxy[:, 0].tolist() == [0, 20, 50]
    assert faces.has_landmarks().tolist() == [True, False, True]
    assert faces.score.tolist() == pytest.approx([0.9, 1.0, 0.9])


def test_a_marked_box_stands_for_a_face_that_was_found_there() -> None:
    found = Faces(
        np.array([[0, 0, 10, 10], [50, 0, 60, 10]], np.float32),
        np.full(2, 0.9, np.float32),
        np.zeros((2, 5, 2), np.float32),
    )
    marked = np.array([[48, -1, 59, 11]], np.float32)
    assert not_marked(found, marked).xyxy[:, 0].tolist() == [0]
    assert not_marked(found, marked + 100).xyxy[:, 0].tolist() == [0, 50]
    assert len(not_marked(found[:0], marked)) == 0


def test_beyond_the_limit_the_largest_faces_stay_in_order() -> None:
    sides = np.array([10, 40, 20, 30], np.float32)
    x = np.arange(4, dtype=np.float32) * 100
    faces = Faces(np.stack([x, x * 0, x + sides, sides], 1), np.ones(4, np.float32))
    kept, left_out = largest(faces, 2)
    assert kept.xyxy[:, 0].tolist() == [100, 300]
    assert left_out == 2
