"""What a card's calibration says of answers like this one."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fer_demo.answers import Answers, Trade

TABLE: dict[str, Any] = {
    "edges": [0.0, 0.5, 0.8, 1.0],
    "at_threshold": {"accuracy": 0.9, "coverage": 0.6},
    "answers": {
        "all": {"n": [100, 100, 200], "right": [40, 70, 190]},
        "happy": {
            "n": [5, 30, 150], "right": [1, 24, 147], "confused_with": "sad", "confused_share": 0.1
        },
        "fear": {"n": [0, 0, 0], "right": [0, 0, 0], "confused_with": None, "confused_share": 0},
    },
}  # fmt: skip


def read(**changes: Any) -> Answers:
    found = Answers.read(copy.deepcopy(TABLE) | changes, 0.7)
    assert found is not None
    return found


def test_answers_of_the_same_label_and_confidence_are_counted() -> None:
    rate = read().like("happy", 0.93)
    assert rate is not None
    assert (rate.right, rate.n, rate.low, rate.high, rate.label) == (147, 150, 0.8, 1.0, "happy")
    assert read().like("happy", 1.0) == rate
    assert read().like("happy", 0.8) == rate


@pytest.mark.parametrize(("label", "confidence"), [("happy", 0.4), ("fear", 0.1), ("new", 0.1)])
def test_where_a_label_has_few_answers_all_labels_serve(label: str, confidence: float) -> None:
    rate = read().like(label, confidence)
    assert rate is not None
    assert (rate.right, rate.n, rate.label) == (40, 100, None)


def test_too_few_answers_say_nothing() -> None:
    few = {"all": {"n": [3, 30, 30], "right": [1, 20, 25]}}
    assert read(answers=few).like("happy", 0.1) is None


def test_what_a_label_is_mistaken_for_is_known_where_it_was_wrong() -> None:
    assert read().mistaken == {"happy": "sad"}


def test_a_higher_confidence_trades_answers_for_accuracy() -> None:
    trades = read().trades()
    assert trades == (
        Trade(0.0, 1.0, 0.75), Trade(0.5, 0.75, 260 / 300), Trade(0.7, 0.6, 0.9),
        Trade(0.8, 0.5, 0.95),
    )  # fmt: skip
    near = Answers.read(TABLE, 0.795)
    assert near is not None
    assert [trade.limit for trade in near.trades()] == [0.0, 0.5, 0.795]


def test_a_card_without_calibration_has_no_answers() -> None:
    assert Answers.read({}, 0.5) is None


@pytest.mark.parametrize(
    "changes",
    [{"edges": [0, 0.8, 0.5, 1]}, {"edges": [0.0, 1.0]}, {"answers": {"all": {"n": [1, 2, 3]}}},
     {"answers": {"all": {"n": [1, 2, 3], "right": [2, 2, 3]}}}, {"answers": 3},
     {"answers": {"all": {"n": [0, 0, 0], "right": [0, 0, 0]}}}, {"at_threshold": {}}],
)  # fmt: skip
def test_a_table_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        read(**changes)
