"""Over which regions of a face a map is spread."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from fer_demo.regions import REGIONS, region_of_pixels, region_shares
from fer_demo.saliency import grey_crops
from fer_demo.types import Crops, Faces

LANDMARKS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.58], [0.36, 0.76], [0.64, 0.76]])
"""Of an upright face, in its crop."""


def _one_face(landmarks: NDArray[np.float64] | None) -> tuple[Faces, Crops]:
    """A face whose crop is turned by 20 degrees and 100 px wide in its photo."""
    angle, side = np.deg2rad(20), 100.0
    linear = side * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    to_photo = np.column_stack([linear, [40.0, 25.0]])
    points = None
    if landmarks is not None:
        points = (landmarks @ linear.T + to_photo[:, 2]).astype(np.float32)[None]
    faces = Faces(np.array([[10, 10, 90, 90]], np.float32), np.ones(1, np.float32), points)
    grey, colour = np.zeros((1, 48, 48), np.uint8), np.zeros((1, 224, 224, 3), np.uint8)
    return faces, Crops(grey, colour, to_photo[None])


@pytest.mark.parametrize(
    ("place", "region"),
    [((0.3, 0.4), 0), ((0.7, 0.4), 0), ((0.3, 0.28), 0), ((0.5, 0.58), 1), ((0.5, 0.76), 2),
     ((0.36, 0.76), 2), ((0.05, 0.95), 3), ((0.5, 0.04), 3)],
)  # fmt: skip
def test_evidence_at_a_place_is_counted_in_its_region(
    place: tuple[float, float], region: int
) -> None:
    maps = np.zeros((1, 48, 48), np.float32)
    maps[0, int(place[1] * 48), int(place[0] * 48)] = 2.0
    (shares,) = region_shares(maps, *_one_face(LANDMARKS))
    assert shares is not None
    np.testing.assert_allclose(shares.towards, np.eye(4)[region])
    np.testing.assert_allclose(shares.against, 0)
    (opposite,) = region_shares(-maps, *_one_face(LANDMARKS))
    assert opposite is not None
    np.testing.assert_allclose(opposite.against, np.eye(4)[region])


def test_shares_sum_to_one_and_a_flat_map_shows_the_areas() -> None:
    maps = np.random.default_rng(0).normal(size=(1, 6, 6)).astype(np.float32)
    (shares,) = region_shares(maps, *_one_face(LANDMARKS))
    assert shares is not None
    assert shares.towards.sum() + shares.against.sum() == pytest.approx(1)
    assert shares.area.sum() == pytest.approx(1)
    (flat,) = region_shares(np.ones((1, 6, 6), np.float32), *_one_face(LANDMARKS))
    assert flat is not None
    np.testing.assert_allclose(flat.towards, flat.area)
    (nothing,) = region_shares(np.zeros((1, 6, 6), np.float32), *_one_face(LANDMARKS))
    assert nothing is not None
    assert nothing.towards.sum() + nothing.against.sum() == 0


def test_a_face_without_landmarks_has_no_regions() -> None:
    maps = np.ones((1, 6, 6), np.float32)
    assert region_shares(maps, *_one_face(None)) == (None,)
    assert region_shares(maps, *_one_face(np.full((5, 2), np.nan))) == (None,)
    none = np.zeros((0, 6, 6), np.float32)
    assert region_shares(none, Faces.none(), grey_crops(np.zeros((0, 48, 48), np.uint8))) == ()


@settings(deadline=None)  # which would measure who else uses the machine
@given(arrays(np.float64, (5, 2), elements=st.floats(-1, 2)))
def test_no_landmarks_are_too_strange(landmarks: NDArray[np.float64]) -> None:
    region = region_of_pixels(landmarks)
    assert region.shape == (48, 48)
    assert region.min() >= 0
    assert region.max() < len(REGIONS)
