"""What is said beside a prediction of how often such answers were right."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from fer_demo.answers import Answers, Trade
from fer_demo.types import EXPRESSIONS, Analysis
from fer_demo.ui.how_sure import record, traded
from fer_demo.weights import BUNDLED
from tests.analyses import made_analysis
from tests.ui.conftest import TIMEOUT

EVALUATIONS = sorted(BUNDLED.glob("*/evaluation.json"))


@pytest.fixture(scope="module")
def answers() -> Answers:
    """Two bins of confidence, from 0 and from .5."""
    counts = {
        "all": ((30, 60), (290, 400)),
        "happy": ((10, 20), (199, 200)),
        "sad": ((9, 25), (40, 65)),
        "fear": ((5, 19), (1, 3)),
        "disgust": ((0, 0), (2, 3)),
    }
    return Answers.read(
        {
            "edges": [0, 0.5, 1],
            "answers": {
                label: {
                    "right": [right for right, _ in pairs],
                    "n": [n for _, n in pairs],
                    "confused_with": "neutral",
                    "confused_share": 0.1,
                }
                for label, pairs in counts.items()
            },
            "at_threshold": {"coverage": 0.66, "accuracy": 0.95},
        },
        0.8,
    )  # type: ignore[return-value]


def face(label: str, confidence: float, warnings: tuple[str, ...] = ()) -> Analysis:
    """One face, whose other expressions share the rest."""
    probs = np.full(7, (1 - confidence) / 6)
    probs[EXPRESSIONS.index(label)] = confidence
    return dataclasses.replace(made_analysis([probs.tolist()]), warnings=(warnings,))


@pytest.mark.parametrize(
    ("label", "confidence", "words"),
    [
        ("happy", 0.97, '"Happy" at this confidence: right on 99 in 100 test pictures. '
         "If wrong, most often neutral."),
        ("sad", 0.7, '"Sad" at this confidence: right on 40 of 65 test pictures. '
         "If wrong, most often neutral."),
        ("sad", 0.4, '"Sad" at this confidence: right on 9 of 25 test pictures. '
         "If wrong, most often neutral."),
        ("fear", 0.9, "Any answer at this confidence: right on 72 in 100 test pictures. "
         'If "fear" is wrong, most often neutral.'),
        ("disgust", 0.9, "Any answer at this confidence: right on 72 in 100 test pictures."),
    ],
)  # fmt: skip
def test_such_answers_are_counted_by_label_and_confidence_where_there_are_enough(
    answers: Answers, label: str, confidence: float, words: str
):
    said, counted = record(face(label, confidence), answers, 0)
    assert said == words
    assert counted is not None
    assert "FER2013" in counted


def test_the_hover_holds_the_counts(answers: Answers):
    _, counted = record(face("sad", 0.7), answers, 0)
    assert (counted or "").startswith(
        '40 of 65 answers of "sad" with a confidence of 50 to 100 %. The test pictures are'
    )


def test_a_face_unlike_the_test_pictures_is_promised_nothing(answers: Answers):
    said, counted = record(face("happy", 0.97, ("blurred",)), answers, 0)
    assert said.startswith("Unlike the test pictures")
    assert counted is None


def test_both_sides_of_a_trade_are_said(answers: Answers):
    assert traded(answers.fitted) == (
        "Answers for **66 of 100** faces, and is right in **95 of 100** of these answers."
    )
    assert "**99 of 100** of these" in traded(Trade(0.99, 0.29, 0.999)), "nothing is always right"


def _page(answers):
    """A page with How sure, and one without; it runs as a script of its own."""
    import streamlit as st

    from fer_demo.ui.how_sure import answering_from

    if "elsewhere" not in st.session_state:
        answering_from(answers, answers.fitted.limit)


def test_what_a_person_set_stays_while_another_page_or_model_is_looked_at(answers: Answers):
    app = AppTest.from_function(_page, default_timeout=TIMEOUT, kwargs={"answers": answers}).run()
    app.select_slider[0].set_value(0.5).run()
    app.session_state["elsewhere"] = True
    assert not app.run().select_slider
    del app.session_state["elsewhere"]
    assert app.run().select_slider[0].value == 0.5


def test_the_limit_is_offered_as_precisely_as_a_card_says_it(answers: Answers):
    fitted = dataclasses.replace(answers.fitted, limit=0.775)
    precise = dataclasses.replace(answers, fitted=fitted)
    app = AppTest.from_function(_page, default_timeout=TIMEOUT, kwargs={"answers": precise}).run()
    assert app.select_slider[0].options == ["0 %", "50 %", "77.5 %"]


@pytest.mark.parametrize("path", EVALUATIONS, ids=[path.parent.name for path in EVALUATIONS])
def test_the_card_of_a_shipped_model_counts_as_its_evaluation_does(path: Path):
    document = json.loads(path.read_text())
    if document["tta"]:
        pytest.skip("measured otherwise than the app answers")
    card = json.loads((path.parent / "config.json").read_text())["fer_demo"]
    shipped = Answers.read(card["calibration"]["ferplus7"], card["uncertain_below"])
    assert shipped is not None
    unseen = document["results"][path.parent.name]["ferplus7"]["unseen"]
    confusion, curve = np.array(unseen["confusion"]), unseen["risk_coverage"]["accuracy"]
    for k, label in enumerate(EXPRESSIONS):
        right, n = np.array(shipped.counts[label]).sum(axis=0)
        # Cross-fitted temperatures may move a picture that is on the edge of two labels.
        assert abs(right - confusion[k, k]) <= 2
        assert abs(n - confusion[:, k].sum()) <= 2
    shares, accuracies = np.array([(int(p) / 100, a) for p, a in curve.items()]).T
    for trade in shipped.trades():
        assert trade.accuracy == pytest.approx(
            np.interp(trade.coverage, shares, accuracies), abs=0.01
        )
