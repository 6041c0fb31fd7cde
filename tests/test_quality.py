"""A face earns a warning exactly where FER2013's faces end."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from fer_demo.crops import align
from fer_demo.quality import face_warnings
from fer_demo.types import Faces, Photo
from training.outside import drawn

FACE = np.array([[170, 60, 280, 190]], np.float32)
FRONTAL = np.array([[[203, 110], [245, 110], [224, 135], [208, 155], [242, 155]]], np.float32)


def warnings_of(
    rgb: np.ndarray,
    box: np.ndarray = FACE,
    landmarks: np.ndarray | None = FRONTAL,
    score: float = 0.9,
) -> tuple:
    photo = Photo(rgb.clip(0, 255).astype(np.uint8))
    faces = Faces(box, np.full(1, score, np.float32), landmarks)
    return face_warnings(faces, align(photo, faces))[0]


def test_a_good_picture_of_a_face_earns_no_warning() -> None:
    assert warnings_of(astronaut()) == ()


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        (lambda rgb: rgb * 0.15, "dark"),
        (lambda rgb: rgb * 0.15 + 215, "too bright"),
        (lambda rgb: cv2.GaussianBlur(rgb, (0, 0), 8), "blurred"),
        (lambda rgb: rgb * 0.2 + 100, "little contrast"),
    ],
)
def test_each_fault_of_the_picture_is_named(change, warning: str) -> None:
    assert warning in warnings_of(change(astronaut()))


def test_a_face_smaller_than_the_network_sees_is_named() -> None:
    small = cv2.resize(astronaut(), None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    assert "small face" in warnings_of(small, FACE * 0.2, FRONTAL * 0.2)


def test_a_turned_face_is_named() -> None:
    turned = FRONTAL.copy()
    turned[0, 2, 0] += 20
    assert warnings_of(astronaut(), landmarks=turned) == ("turned away",)


def test_a_face_without_landmarks_is_judged_by_its_pixels_alone() -> None:
    unknown = np.full((1, 5, 2), np.nan, np.float32)
    assert warnings_of(astronaut(), landmarks=unknown) == ()


def test_a_face_that_the_detector_doubts_is_named() -> None:
    assert warnings_of(astronaut(), score=0.7) == ("unclear face",)
    # The simpler detector's score is on another scale, and it gives no landmarks.
    assert warnings_of(astronaut(), landmarks=None, score=0.7) == ()


@pytest.mark.parametrize("tone", [20, 120, 240])
def test_a_covered_mouth_is_named(tone: int) -> None:
    rgb = astronaut()
    mask = np.array([[190, 130], [224, 122], [258, 130], [255, 170], [224, 190], [193, 170]])
    cv2.fillPoly(rgb, [mask.astype(np.int32)], (tone,) * 3, cv2.LINE_AA)
    assert warnings_of(rgb) == ("unclear mouth",)
    # Where the mouth is, is not known.
    assert warnings_of(rgb, landmarks=None) == ()


def test_a_blurred_mouth_is_not_said_to_be_covered() -> None:
    assert warnings_of(cv2.GaussianBlur(astronaut(), (0, 0), 8)) == ("blurred",)


@pytest.mark.parametrize("degrees", [-40, 0, 40])
def test_the_mouth_of_a_tilted_face_is_seen(degrees: int) -> None:
    turn = cv2.getRotationMatrix2D((224, 128), degrees, 1.0)
    rgb = cv2.warpAffine(astronaut(), turn, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    landmarks = cv2.transform(FRONTAL, turn)
    assert warnings_of(rgb, landmarks=landmarks) == ()


def test_a_face_that_a_person_marked_is_named() -> None:
    unknown = np.full((1, 5, 2), np.nan, np.float32)
    assert warnings_of(astronaut(), landmarks=unknown, score=1.0) == ("not detected",)


def test_drawn_faces_are_named_and_a_pale_or_dark_photograph_is_not_taken_for_one() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        grey = drawn(generator)
        rgb = np.repeat(grey[..., None], 3, axis=2)
        found = warnings_of(rgb, np.array([[4, 4, 188, 188]], np.float32), None)
        assert "may be a drawing" in found or "little contrast" in found
    for change in (lambda rgb: rgb * 0.15, lambda rgb: rgb * 0.15 + 215):
        assert "may be a drawing" not in warnings_of(change(astronaut()))
