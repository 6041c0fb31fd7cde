"""A face earns a warning exactly where FER2013's faces end."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from fer_demo.crops import align
from fer_demo.quality import face_warnings
from fer_demo.types import Faces, Photo

FACE = np.array([[170, 60, 280, 190]], np.float32)
FRONTAL = np.array([[[203, 110], [245, 110], [224, 135], [208, 155], [242, 155]]], np.float32)


def warnings_of(rgb: np.ndarray, box: np.ndarray = FACE, landmarks: np.ndarray = FRONTAL) -> tuple:
    photo = Photo(rgb.clip(0, 255).astype(np.uint8))
    faces = Faces(box, np.ones(1, np.float32), landmarks)
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
