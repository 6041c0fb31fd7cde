from __future__ import annotations

import numpy as np
import pytest

from training import metrics

GENERATOR = np.random.default_rng(0)
NAMES = tuple("abcdefg")


def calibrated(n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a model that knows how sure it may be, and labels drawn from them."""
    logits = GENERATOR.normal(0, 2, (n, 7))
    probs = metrics.softmax(logits)
    label = np.array([GENERATOR.choice(7, p=row) for row in probs])
    return logits.astype(np.float32), label


LOGITS, LABEL = calibrated()


def test_classification_by_hand() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 0, 1, 1]]
    found = metrics.classification(logits, np.array([0, 1, 1, 1]), ("a", "b", "c"))
    assert found["accuracy"] == 0.75
    assert found["standard_error"] == pytest.approx(0.21651)
    assert found["confusion"] == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert found["per_class"]["a"] == {"n": 1, "precision": 0.5, "recall": 1.0, "f1": 0.66667}
    assert found["per_class"]["b"] == {"n": 3, "precision": 1.0, "recall": 0.66667, "f1": 0.8}
    assert found["macro_f1"] == pytest.approx((2 / 3 + 0.8) / 2, abs=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_is_found_again(temperature: float) -> None:
    assert metrics.fit_temperature(LOGITS * temperature, LABEL) == pytest.approx(
        temperature, rel=0.05
    )


def test_ece_of_a_calibrated_model_lies_in_its_interval() -> None:
    low, high = metrics.ece_of_calibrated(LOGITS)
    assert low <= metrics.ece(LOGITS, LABEL) <= high
    assert metrics.ece(LOGITS * 2.5, LABEL) > 2 * high
    assert metrics.ece(LOGITS / 2.5, LABEL) > 2 * high


def test_folds_never_divide_duplicates() -> None:
    groups = GENERATOR.integers(0, 50, 400)
    fold = metrics.folds_of(groups)
    assert set(fold) == set(range(5))
    assert all(len(set(fold[groups == group])) == 1 for group in set(groups))


def test_a_folds_own_labels_have_no_say_in_how_it_is_scaled() -> None:
    fold = np.arange(len(LABEL)) % 5
    scaled = metrics.cross_fitted(LOGITS * 3, LABEL, fold)
    mine = fold == 2
    others = LABEL.copy()
    others[mine] = np.roll(LABEL[mine], 1)
    again = metrics.cross_fitted(LOGITS * 3, others, fold)
    np.testing.assert_array_equal(again[mine], scaled[mine])
    assert (again[~mine] != scaled[~mine]).any(axis=1).all()
    assert metrics.nll(scaled, LABEL) < metrics.nll(LOGITS * 3, LABEL)


def test_risk_falls_with_coverage() -> None:
    found = metrics.risk_coverage(LOGITS, LABEL)
    shares = list(found["accuracy"].values())
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == round(float((LOGITS.argmax(1) == LABEL).mean()), 5)


def test_entropy_correlation_leaves_out_images_without_votes() -> None:
    probs = metrics.softmax(LOGITS)
    voted = -(probs * np.log(probs)).sum(1)
    voted[:100] = np.nan
    assert metrics.entropy_correlation(LOGITS, voted) == pytest.approx(1)


@pytest.mark.parametrize("voted", [np.full(3, np.nan), np.full(3, 0.5)], ids=["none", "same"])
def test_there_is_no_entropy_correlation_where_votes_do_not_differ(voted: np.ndarray) -> None:
    assert metrics.entropy_correlation(np.eye(3, dtype=np.float32), voted) is None


def test_the_bootstrap_interval_is_that_of_a_mean() -> None:
    values = np.random.default_rng(3).normal(1.0, 2.0, 400)
    mean, low, high = metrics.bootstrap(values)
    assert mean == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20
    assert (mean - low, high - mean) == (pytest.approx(half, rel=0.1),) * 2
