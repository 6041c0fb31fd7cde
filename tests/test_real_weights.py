"""What the weights that ship do on FER2013's PublicTest, as the app runs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fer_demo.classifier import Predictor
from fer_demo.crops import align
from fer_demo.faces import YuNet
from fer_demo.predictors import predictor_names
from fer_demo.types import COLOUR_SIDE, Crops
from tests.networks import BUNDLED, bundled_predictor
from training.data import read_split
from training.framing import enlarged
from training.votes import ferplus7_label

SAMPLE = 400


@pytest.fixture(scope="module", params=predictor_names(BUNDLED))
def classifier(request: pytest.FixtureRequest) -> Predictor:
    return bundled_predictor(request.param)


@pytest.fixture(scope="module")
def sample(fer2013: Path) -> tuple[np.ndarray, np.ndarray]:
    """(400, 48, 48) images with a FER+ label among the seven, and the label."""
    faces = read_split(fer2013, "public_test")
    assert faces.votes is not None
    label = ferplus7_label(faces.votes)
    rows = np.random.default_rng(0).permutation(np.flatnonzero(label >= 0))[:SAMPLE]
    return faces.grey[rows], label[rows]


@pytest.fixture(scope="module")
def direct(classifier: Predictor, sample: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(400,) whether each image's label is named."""
    grey, label = sample
    return classifier.predict(_as_crops(grey)).top == label


@pytest.fixture(scope="module")
def detected(
    sample: tuple[np.ndarray, np.ndarray], yunet_file: Path
) -> tuple[list[int], np.ndarray]:
    """The rows in which a face is found, and its (M, 48, 48) crops."""
    grey, _ = sample
    detector, found, again = YuNet(yunet_file), [], []
    for row, pixels in enumerate(grey):
        photo = enlarged(pixels)
        faces = detector.detect(photo)
        if len(faces):
            found.append(row)
            again.append(align(photo, faces[np.array([faces.score.argmax()])]).grey)
    return found, np.concatenate(again)


def test_expressions_are_named_far_above_chance(direct: np.ndarray) -> None:
    assert direct.mean() > 0.70  # always "neutral" would be right in 36 of 100


def test_going_through_detection_costs_little(
    classifier: Predictor,
    sample: tuple[np.ndarray, np.ndarray],
    direct: np.ndarray,
    detected: tuple[list[int], np.ndarray],
) -> None:
    """The whole set and its figure: `python -m training.framing --weights ...`."""
    _, label = sample
    found, again = detected
    assert len(found) > 0.97 * SAMPLE
    right = classifier.predict(_as_crops(again)).top == label[found]
    assert right.mean() > direct[found].mean() - 0.03


def test_a_face_gets_the_same_answer_alone_and_among_others(
    classifier: Predictor, sample: tuple[np.ndarray, np.ndarray]
) -> None:
    grey, _ = sample
    together = classifier.predict(_as_crops(grey[:8])).probs
    alone = np.concatenate([classifier.predict(_as_crops(grey[i : i + 1])).probs for i in range(8)])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def _as_crops(grey: np.ndarray) -> Crops:
    n = len(grey)
    return Crops(grey, np.zeros((n, COLOUR_SIDE, COLOUR_SIDE, 3), np.uint8), np.zeros((n, 2, 3)))
