"""A photo in, an analysis out: rows agree, limits hold, nothing is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from fer_demo.classifier import Classifier, torch_engine
from fer_demo.faces import FaceDetector, Haar
from fer_demo.pipeline import analyse
from fer_demo.types import EXPRESSIONS, Faces, ModelCard, Photo
from tests.networks import evidence_network

CARD = ModelCard(
    name="tiny", architecture="resnet10t", input_size=64, output_stride=16, mean=0.5, std=0.5,
    temperature={}, uncertain_below=0.99, licence="", sha256="", size_bytes=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(CARD, torch_engine(evidence_network("resnet10t", 64), torch.device("cpu")))


class Crowd:
    """A detector that finds the same face many times."""

    name, notice = "yunet", None

    def __init__(self, n: int):
        self.n = n

    def detect(self, photo: Photo, threshold: float = 0.6, sides: tuple[int, ...] = ()) -> Faces:
        x = np.linspace(0, photo.width - 60, self.n, dtype=np.float32)
        size = np.linspace(30, 60, self.n, dtype=np.float32)
        xyxy = np.stack([x, x * 0, x + size, size], axis=1)
        return Faces(xyxy, np.full(self.n, 0.9, np.float32))


def test_a_photo_comes_back_with_one_row_a_face(classifier: Classifier) -> None:
    result = analyse(Photo(astronaut()), Haar(), classifier, decode_seconds=0.5)
    assert len(result) == len(result.faces) == len(result.predictions) == 1
    assert result.detector == "haar"
    assert result.model == "tiny"
    assert result.predictions.labels == EXPRESSIONS
    assert result.is_uncertain(0)
    assert set(result.seconds) == {"decode", "detect", "crop", "classify", "total"}
    parts = sum(seconds for stage, seconds in result.seconds.items() if stage != "total")
    assert result.seconds["total"] == pytest.approx(parts, abs=1e-6)


@pytest.mark.parametrize(("found", "kept"), [(0, 0), (1, 1), (50, 50), (80, 50)])
def test_at_most_fifty_faces_are_analysed_and_the_rest_is_counted(
    classifier: Classifier, found: int, kept: int
) -> None:
    detector: FaceDetector = Crowd(found)
    result = analyse(Photo(astronaut()), detector, classifier)
    assert len(result) == kept
    assert result.left_out == found - kept


def test_the_whole_picture_can_be_taken_as_one_face(classifier: Classifier) -> None:
    result = analyse(Photo(astronaut()[60:190, 160:290]), Crowd(0), classifier, whole=True)
    assert len(result) == 1
    assert result.detector == "whole-picture"
    np.testing.assert_array_equal(result.faces.xyxy, [[0, 0, 130, 130]])


def test_of_a_long_picture_the_box_is_the_square_that_is_read(classifier: Classifier) -> None:
    for rgb, box in ((astronaut()[:400, :200], [0, 100, 200, 300]),
                     (astronaut()[:200, :400], [100, 0, 300, 200])):  # fmt: skip
        result = analyse(Photo(rgb), Crowd(0), classifier, whole=True)
        np.testing.assert_array_equal(result.faces.xyxy, [box])


def test_a_face_that_a_person_marked_is_analysed_like_the_others(classifier: Classifier) -> None:
    box = np.array([[170, 60, 280, 190]], np.float32)
    marked = analyse(Photo(astronaut()), Crowd(0), classifier, added=box)
    assert len(marked) == 1
    np.testing.assert_array_equal(marked.faces.xyxy, box)


def test_a_marked_box_takes_the_place_of_the_face_that_was_found_there(
    classifier: Classifier,
) -> None:
    found = Crowd(9).detect(Photo(astronaut())).xyxy
    box = found[[8]] + np.float32(0.5)
    result = analyse(Photo(astronaut()), Crowd(9), classifier, added=box, max_faces=9)
    assert (len(result), result.left_out) == (9, 0)
    assert np.isclose(result.faces.xyxy, box).all(axis=1).sum() == 1


def test_a_face_that_a_person_marked_is_kept_before_larger_ones(classifier: Classifier) -> None:
    box = np.array([[1, 1, 12, 12]], np.float32)
    result = analyse(Photo(astronaut()), Crowd(9), classifier, added=box, max_faces=4)
    assert len(result) == 4
    assert result.left_out == 6
    assert (result.faces.xyxy == box).all(axis=1).any()


def test_an_analysis_is_the_same_every_time(classifier: Classifier) -> None:
    first, second = (analyse(Photo(astronaut()), Haar(), classifier) for _ in range(2))
    np.testing.assert_array_equal(first.predictions.probs, second.predictions.probs)
    np.testing.assert_array_equal(first.crops.grey, second.crops.grey)
