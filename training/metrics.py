"""What is measured of a head's logits: accuracy, calibration, selective risk.

Shares and probabilities are in [0, 1], rounded to five decimals; NLL and entropies are in nats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_calibration_error,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
)

BINS = 15
"""Of equal width, for the expected calibration error."""

FOLDS = 5

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]


def bootstrap(values: Floats, resamples: int = 5000) -> tuple[float, float, float]:
    """Mean of (N,) values and its 95 % interval, images drawn with replacement."""
    generator = np.random.default_rng(0)
    counts = generator.multinomial(len(values), np.full(len(values), 1 / len(values)), resamples)
    low, high = np.percentile(counts @ values / len(values), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def classification(logits: Floats, label: Labels, names: tuple[str, ...]) -> dict[str, Any]:
    """Accuracy with its binomial standard error, macro F1, per-class figures, confusion matrix.

    Args:
        logits: (N, K).
        label: (N,) in [0, K).
        names: of the K classes.

    Returns:
        `confusion[i][j]` counts images of class i that were called j. macro F1 is over the
        classes that occur.
    """
    k, x, y = len(names), torch.from_numpy(logits), torch.from_numpy(label)
    accuracy = multiclass_accuracy(x, y, k, average="micro").item()
    columns = [
        metric(x, y, k, average="none").tolist()
        for metric in (multiclass_precision, multiclass_recall, multiclass_f1_score)
    ]
    counts = np.bincount(label, minlength=k)
    per_class = {
        name: {
            "n": int(counts[i]),
            **{
                key: round(column[i], 5)
                for key, column in zip(("precision", "recall", "f1"), columns, strict=True)
            },
        }
        for i, name in enumerate(names)
    }
    present = [entry["f1"] for entry in per_class.values() if entry["n"]]
    return {
        "n": len(label),
        "accuracy": round(accuracy, 5),
        "standard_error": round((accuracy * (1 - accuracy) / len(label)) ** 0.5, 5),
        "macro_f1": round(float(np.mean(present)), 5),
        "per_class": per_class,
        "confusion": multiclass_confusion_matrix(x, y, k).tolist(),
    }


def nll_each(logits: Floats, label: Labels) -> Floats:
    """(N,) negative log-likelihood of each label, nats."""
    return np.asarray(-log_softmax(logits, axis=1)[np.arange(len(label)), label])


def cross_fitted_nll(logits: Floats, label: Labels, fold: NDArray[np.int64]) -> Floats:
    """(N,) negative log-likelihood of each label, at the temperature of the other folds, nats."""
    return nll_each(cross_fitted(logits, label, fold).astype(np.float64), label)


def nll(logits: Floats, label: Labels) -> float:
    """Mean negative log-likelihood of the labels, nats."""
    return float(nll_each(logits, label).mean())


def ece(logits: Floats, label: Labels) -> float:
    """Expected calibration error of the most probable class, 15 bins (Guo et al. 2017)."""
    probs = torch.from_numpy(softmax(logits))
    value = multiclass_calibration_error(
        probs, torch.from_numpy(label), logits.shape[1], n_bins=BINS, norm="l1"
    )
    return float(value)


def softmax(logits: Floats) -> NDArray[np.float64]:
    """(N, K) rows sum to 1."""
    return np.exp(log_softmax(logits.astype(np.float64), axis=1))


def ece_of_calibrated(logits: Floats, simulations: int = 1000) -> tuple[float, float]:
    """The central 95 % of the ECE that a perfectly calibrated model with these confidences shows.

    Each simulation draws whether an answer is right from the answer's own confidence.
    """
    confidence = np.sort(softmax(logits).max(1))
    edges = np.linspace(0, 1, BINS + 1)
    starts = np.unique(np.searchsorted(confidence, edges)[:-1])
    starts = starts[starts < len(confidence)]
    right = np.random.default_rng(0).random((simulations, len(confidence))) < confidence
    gaps = np.add.reduceat(right - confidence, starts, axis=1)
    low, high = np.percentile(np.abs(gaps).sum(1) / len(confidence), [2.5, 97.5])
    return float(low), float(high)


def fit_temperature(logits: Floats, label: Labels) -> float:
    """The T that minimises the NLL of logits / T (Guo et al. 2017)."""
    found = minimize_scalar(
        lambda log_t: nll(logits / np.exp(log_t), label), bounds=(-3, 3), method="bounded"
    )
    return float(np.exp(found.x))


def folds_of(groups: NDArray[np.int64], folds: int = FOLDS) -> NDArray[np.int64]:
    """(N,) fold of each image in [0, folds); a group is never divided between two."""
    order = np.random.default_rng(0).permutation(groups.max() + 1)
    return order[groups] % folds


def cross_fitted(logits: Floats, label: Labels, fold: NDArray[np.int64]) -> Floats:
    """(N, K) logits, each fold's divided by the temperature that the other folds gave."""
    scaled = logits.copy()
    for k in np.unique(fold):
        rest = fold != k
        scaled[~rest] /= fit_temperature(logits[rest], label[rest])
    return scaled


def risk_coverage(logits: Floats, label: Labels) -> dict[str, Any]:
    """Accuracy on the most confident share of the answers.

    Returns:
        `aurc`, the area under the risk-coverage curve (Geifman & El-Yaniv 2017), and `accuracy`
        by percent of coverage.
    """
    probs = softmax(logits)
    order = np.argsort(-probs.max(1), kind="stable")
    right = (probs.argmax(1) == label)[order]
    accuracy = np.cumsum(right) / np.arange(1, len(right) + 1)
    at = {str(p): round(float(accuracy[max(0, len(right) * p // 100 - 1)]), 5) for p in COVERAGES}
    return {"aurc": round(float(1 - accuracy.mean()), 5), "accuracy": at}


COVERAGES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)


def entropy_correlation(logits: Floats, voted: Floats) -> float | None:
    """Pearson correlation of predicted entropy with the annotators', images with votes only; None
    where theirs is the same everywhere."""
    probs = softmax(logits)
    predicted = -(probs * np.log(np.maximum(probs, 1e-12))).sum(1)
    known = np.isfinite(voted)
    if not known.any() or np.ptp(voted[known]) == 0:
        return None
    return round(float(np.corrcoef(predicted[known], voted[known])[0, 1]), 5)


def head_report(
    logits: Floats, label: Labels, names: tuple[str, ...], groups: NDArray[np.int64]
) -> dict[str, Any]:
    """Everything that one head's logits and labels say; `groups` are those of duplicates.

    `ece_calibrated` is after a further temperature, cross-fitted on these images; `ece_interval`
    is where a calibrated model's ECE would lie.
    """
    calibrated = cross_fitted(logits, label, folds_of(groups))
    return {
        **classification(logits, label, names),
        "nll": round(nll(logits, label), 5),
        "ece": round(ece(logits, label), 5),
        "ece_calibrated": round(ece(calibrated, label), 5),
        "ece_interval": [round(x, 5) for x in ece_of_calibrated(calibrated)],
        "risk_coverage": risk_coverage(logits, label),
    }
