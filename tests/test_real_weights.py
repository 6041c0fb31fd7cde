"""What the weights that ship do on FER2013's PublicTest, as the app runs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fer_demo.classifier import Classifier, Predictor, load_classifier
from fer_demo.crops import align
from fer_demo.ensemble import load_predictor, predictor_names
from fer_demo.faces import YuNet
from fer_demo.settings import Settings
from fer_demo.types import COLOUR_SIDE, Crops
from fer_demo.weights import open_weights
from training.data import read_split
from training.framing import enlarged
from training.votes import ferplus7_label

SAMPLE = 400


BUNDLED = Settings(hub_repos=())


@pytest.fixture(scope="module", params=predictor_names(BUNDLED))
def classifier(request: pytest.FixtureRequest) -> Predictor:
    def load(name: str) -> Classifier:
        return load_classifier(open_weights(name, BUNDLED), BUNDLED)

    return load_predictor(request.param, BUNDLED, load)


@pytest.fixture(scope="module")
def sample(fer2013: Path) -> tuple[np.ndarray, np.ndarray]:
    """(400, 48, 48) images with a FER+ label among the seven, and the label."""
    faces = read_split(fer2013, "public_test")
    assert faces.votes is not None
    label = ferplus7_label(faces.votes)
    rows = np.random.default_rng(0).permutation(np.flatnonzero(label >= 0))[:SAMPLE]
    return faces.grey[rows], label[rows]


def test_expressions_are_named_far_above_chance(
    classifier: Predictor, sample: tuple[np.ndarray, np.ndarray]
) -> None:
    grey, label = sample
    right = classifier.predict(_as_crops(grey)).top == label
    assert right.mean() > 0.70  # always "neutral" would be right in 36 of 100


def test_going_through_detection_costs_little(
    classifier: Predictor, sample: tuple[np.ndarray, np.ndarray], yunet_file: Path
) -> None:
    """The whole set and its figure: `python -m training.framing --weights ...`."""
    grey, label = sample
    detector, found, again = YuNet(yunet_file), [], []
    for row, pixels in enumerate(grey):
        photo = enlarged(pixels)
        faces = detector.detect(photo)
        if len(faces):
            found.append(row)
            again.append(align(photo, faces[np.array([faces.score.argmax()])]).grey)
    assert len(found) > 0.97 * SAMPLE
    direct = classifier.predict(_as_crops(grey[found])).top == label[found]
    detected = classifier.predict(_as_crops(np.concatenate(again))).top == label[found]
    assert detected.mean() > direct.mean() - 0.03


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
