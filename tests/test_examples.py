"""The pictures to try, on the bundled weights."""

from __future__ import annotations

import pytest

from fer_demo.classifier import Predictor
from fer_demo.examples import EXAMPLES, Example
from fer_demo.faces import Haar, YuNet
from fer_demo.pipeline import analyse
from fer_demo.predictors import predictor_names
from fer_demo.types import EXPRESSIONS, Analysis
from tests.networks import BUNDLED, bundled_predictor


@pytest.fixture(scope="module", params=predictor_names(BUNDLED))
def classifier(request: pytest.FixtureRequest) -> Predictor:
    return bundled_predictor(request.param)


@pytest.fixture(scope="module", params=["haar", "yunet"])
def detector(request: pytest.FixtureRequest):
    if request.param == "haar":
        return Haar()
    return YuNet(request.getfixturevalue("yunet_file"))


def look(example_id: str, detector, classifier: Predictor) -> Analysis:
    return analyse(by_id(example_id).photo(), detector, classifier)


def by_id(example_id: str) -> Example:
    return next(example for example in EXAMPLES if example.id == example_id)


def test_one_face_is_a_smile(detector, classifier):
    analysis = look("one", detector, classifier)
    tops = [EXPRESSIONS[top] for top in analysis.predictions.top]
    assert tops == ["happy"]
    assert not analysis.is_uncertain(0)


def test_several_faces_are_several(detector, classifier):
    assert len(look("several", detector, classifier)) >= (6 if detector.name == "yunet" else 4)


def test_the_dark_one_is_honestly_uncertain(detector, classifier):
    analysis = look("uncertain", detector, classifier)
    assert len(analysis) == 1
    assert analysis.is_uncertain(0)
    assert "dark" in analysis.warnings[0]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_examples_are_made_the_same_each_time(example):
    assert (example.make() == example.make()).all()
    assert example.alt
