from __future__ import annotations

import numpy as np

from training.votes import (
    FERPLUS_COLUMNS,
    ferplus7_label,
    ferplus8_label,
    ferplus_target,
    is_tie,
    vote_entropy,
)

ANGRY, DISGUST, FEAR, HAPPY, SAD, SURPRISE, NEUTRAL, CONTEMPT = range(8)


def votes(**counts: int) -> np.ndarray:
    return np.array([[counts.get(name, 0) for name in FERPLUS_COLUMNS]], np.uint8)


def test_strict_majority() -> None:
    def label(**counts: int) -> int:
        return int(ferplus8_label(votes(**counts))[0])

    assert label(anger=6, neutral=4) == ANGRY
    assert label(contempt=6, neutral=4) == CONTEMPT
    assert label(anger=5, neutral=5) == -1  # half is not more than half
    assert label(sadness=4, neutral=3, fear=1, anger=1, disgust=1) == SAD  # 4 of the 7 that remain
    assert label(sadness=4, neutral=3, fear=3) == -1
    assert label(NF=10) == -1
    assert label(unknown=6, happiness=4) == -1
    assert label(happiness=1, sadness=1, NF=1) == -1  # nothing remains


def test_argmax_goes_by_ferplus_column_order_on_ties() -> None:
    def label(**counts: int) -> int:
        return int(ferplus7_label(votes(**counts))[0])

    assert label(anger=5, neutral=5) == NEUTRAL
    assert label(sadness=4, happiness=4, fear=2) == HAPPY
    assert label(contempt=6, neutral=4) == -1
    assert label(fear=5, unknown=5) == FEAR
    assert label(NF=6, fear=4) == -1
    assert is_tie(votes(anger=5, neutral=5)).tolist() == [True]
    assert is_tie(votes(anger=6, neutral=4)).tolist() == [False]


def test_target_drops_single_votes_where_others_remain() -> None:
    target, weight = ferplus_target(votes(happiness=6, surprise=3, fear=1))
    np.testing.assert_allclose(target[0, [HAPPY, SURPRISE, FEAR]], [2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(weight, 0.9)


def test_target_keeps_single_votes_where_nothing_else_is() -> None:
    target, weight = ferplus_target(votes(happiness=1, fear=1, sadness=1))
    np.testing.assert_allclose(target[0, [HAPPY, FEAR, SAD]], 1 / 3)
    np.testing.assert_allclose(weight, 0.3)


def test_target_is_masked_where_no_face_leads() -> None:
    rows = np.concatenate([votes(NF=6, fear=4), votes(unknown=5, happiness=3), votes()])
    assert ferplus_target(rows)[1].tolist() == [0, 0, 0]
    assert np.isfinite(ferplus_target(rows)[0]).all()


def test_vote_entropy() -> None:
    assert vote_entropy(votes(anger=10), 7)[0] == 0
    np.testing.assert_allclose(vote_entropy(votes(anger=5, fear=5), 7), np.log(2))
    assert np.isnan(vote_entropy(votes(NF=10), 7)[0])
    assert vote_entropy(votes(anger=5, contempt=5), 7)[0] == 0
    np.testing.assert_allclose(vote_entropy(votes(anger=5, contempt=5), 8), np.log(2))
