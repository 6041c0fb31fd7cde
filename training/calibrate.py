"""Fit how sure a network may be, and fold that into its weights.

    python -m training.calibrate --weights DIR --data FILE_OR_DIR [--seen-in TRAIN_DATA]

On the images of PublicTest that are in no training file: a temperature for each head (FER+'s on
the seven classes that the app shows), the confidence from which answers are right 95 times in
100, and a table of how often answers of each label and confidence are right. Every figure that is
reported comes from five-fold cross-fitting in which duplicates stay together (a fold's threshold is
fitted on confidences whose temperatures, one number each, saw that fold); what is written is then
fitted on all of them.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_demo.types import EXPRESSIONS, FER2013_HEAD, FERPLUS7_HEAD
from training.command import add_data, add_seen_in, add_weights, parser_of, told
from training.data import read_split, split_name, tell_cautions, votes_of
from training.duplicates import duplicate_groups, fit_for_selection
from training.folder import fold_temperature, read_config, read_state, write_folder
from training.formats import DataError, LabelledFaces
from training.metrics import (
    BINS,
    Floats,
    Labels,
    cross_fitted,
    ece,
    ece_of_calibrated,
    fit_temperature,
    folds_of,
    nll,
    softmax,
)
from training.predict import Model, Network
from training.votes import ferplus7_label

TARGET_ACCURACY = 0.95
MIN_ANSWERS = 50
"""Fewer answers than this do not show a share of 95 in 100."""

CONFIDENCE_EDGES = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Bins of the table that the app shows; narrow at the top, where most answers are."""


def confidence_threshold(confidence: Floats, right: NDArray[np.bool_], target: float) -> float:
    """The lowest confidence from which answers are right in `target` of all cases.

    Args:
        confidence: (N,) of the answers.
        right: (N,) whether they are.
        target: share in [0, 1].

    Returns:
        1.0 where no threshold reaches the target.
    """
    order = np.argsort(-confidence, kind="stable")
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero((share >= target) & (np.arange(1, len(order) + 1) >= MIN_ANSWERS))
    return float(confidence[order[good[-1]]]) if len(good) else 1.0


def held_out_threshold(
    confidence: Floats, right: NDArray[np.bool_], fold: NDArray[np.int64], target: float
) -> dict[str, float]:
    """What a threshold fitted on four folds gives on the fifth: accuracy, share answered."""
    answered = np.zeros(len(right), bool)
    for k in np.unique(fold):
        rest = fold != k
        limit = confidence_threshold(confidence[rest], right[rest], target)
        answered[~rest] = confidence[~rest] >= limit
    accuracy = float(right[answered].mean()) if answered.any() else 0.0
    return {"accuracy": round(accuracy, 5), "coverage": round(float(answered.mean()), 5)}


def confidence_table(probs: Floats, label: Labels) -> dict[str, Any]:
    """How often answers are right, by the label given and by confidence.

    Args:
        probs: (N, 7) rows sum to 1.
        label: (N,).

    Returns:
        `edges` of the bins; for each expression and for "all": `n` answers and how many were
        `right`, by bin; for each expression what it is most often mistaken for
        (`confused_with`) and in which share of its answers (`confused_share`).
    """
    given, confidence = probs.argmax(1), probs.max(1)
    bin_ = np.clip(np.digitize(confidence, CONFIDENCE_EDGES) - 1, 0, len(CONFIDENCE_EDGES) - 2)
    k = len(CONFIDENCE_EDGES) - 1

    def counts(rows: NDArray[np.bool_]) -> dict[str, Any]:
        right = rows & (given == label)
        return {
            "n": np.bincount(bin_[rows], minlength=k).tolist(),
            "right": np.bincount(bin_[right], minlength=k).tolist(),
        }

    table: dict[str, Any] = {"all": counts(np.ones(len(label), bool))}
    for i, name in enumerate(EXPRESSIONS):
        rows = given == i
        wrong = np.bincount(label[rows & (label != i)], minlength=len(EXPRESSIONS))
        table[name] = counts(rows) | {
            "confused_with": EXPRESSIONS[wrong.argmax()] if wrong.any() else None,
            "confused_share": round(float(wrong.max() / max(1, rows.sum())), 5),
        }
    return {"edges": list(CONFIDENCE_EDGES), "answers": table}


def reliability_bins(logits: Floats, label: Labels) -> dict[str, list[Any]]:
    """What a reliability diagram draws: answers, right ones and mean confidence of each of the
    bins that the ECE sums over; confidence is 0 where a bin is empty.
    """
    probs = softmax(logits)
    confidence, right = probs.max(1), probs.argmax(1) == label
    bin_ = np.minimum((confidence * BINS).astype(int), BINS - 1)
    n = np.bincount(bin_, minlength=BINS)
    total = np.bincount(bin_, confidence, BINS)
    return {
        "n": n.tolist(),
        "right": np.bincount(bin_[right], minlength=BINS).tolist(),
        "confidence": np.round(total / np.maximum(n, 1), 4).tolist(),
    }


def head_calibration(logits: Floats, label: Labels, fold: NDArray[np.int64]) -> dict[str, Any]:
    """The temperature of one head and what it gives on images it was not fitted on."""
    temperature = fit_temperature(logits, label)
    held_out = cross_fitted(logits, label, fold)
    low, high = ece_of_calibrated(held_out)
    figures = {
        "ece_before": ece(logits, label),
        "ece": ece(held_out, label),
        "nll_before": nll(logits, label),
        "nll": nll(held_out, label),
        "nll_at_best_temperature": nll(logits / temperature, label),
    }
    return {
        "n": len(label),
        "temperature": temperature,
        "ece_interval": [round(low, 5), round(high, 5)],
        **{name: round(value, 5) for name, value in figures.items()},
        "bins": {
            "edges": [round(k / BINS, 5) for k in range(BINS + 1)],
            "before": reliability_bins(logits, label),
            "after": reliability_bins(held_out, label),
        },
    }


def unseen(faces: LabelledFaces, train: LabelledFaces) -> LabelledFaces:
    """The faces that calibration may use: those that are in no training file.

    Raises:
        DataError: models may not be calibrated on this data.
    """
    kept = fit_for_selection(faces, train)
    if kept.votes is None:
        raise DataError("Calibration needs FER+ votes: the app's confidence is about them.")
    return kept


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was fitted on all faces, and what fitting gives on faces that it did not see."""

    temperature: dict[str, float]
    """By head, with FER+'s eight classes at the temperature of its seven."""
    uncertain_below: float
    report: dict[str, Any]


def fit(hard: Floats, soft: Floats, faces: LabelledFaces, target: float) -> Fitted:
    """Fit temperatures and threshold.

    Args:
        hard, soft: (N, 7) logits of FER2013's head and of FER+'s, at temperature 1.
        faces: from `unseen`, (N,).
        target: share of right answers from which on the app answers, in [0, 1].
    """
    fold = folds_of(duplicate_groups(faces.grey))
    voted = ferplus7_label(votes_of(faces))
    kept = voted >= 0
    soft, voted = soft[kept], voted[kept]
    report = {
        "fer2013": head_calibration(hard, faces.label, fold),
        "ferplus7": head_calibration(soft, voted, fold[kept]),
    }
    held_out = softmax(cross_fitted(soft, voted, fold[kept]))
    right = held_out.argmax(1) == voted
    report["ferplus7"] |= {
        "target_accuracy": target,
        "at_threshold": held_out_threshold(held_out.max(1), right, fold[kept], target),
    } | confidence_table(held_out, voted)
    of_hard, of_soft = report["fer2013"]["temperature"], report["ferplus7"]["temperature"]
    limit = confidence_threshold(softmax(soft / of_soft).max(1), right, target)
    temperature = {"fer2013": of_hard, "ferplus8": of_soft, "ferplus7": of_soft}
    return Fitted(temperature, round(limit, 4), report)


def calibrate(
    folder: Path, faces: LabelledFaces, train: LabelledFaces, target: float = TARGET_ACCURACY
) -> Fitted:
    """Calibrate a weights folder in place; its card keeps the report.

    Raises:
        DataError: models may not be calibrated on this data.
    """
    faces = unseen(faces, train)
    # Raw logits, so that a folder that is calibrated again gets the same card.
    old = read_config(folder)["fer_demo"]["temperature"]
    rows = [FER2013_HEAD, FERPLUS7_HEAD]
    hard, soft = Model(folder.name, [Network(folder)]).logits(faces.grey, rows, flip=False)
    hard, soft = hard * np.float32(old["fer2013"]), soft * np.float32(old["ferplus7"])
    fitted = fit(hard, soft, faces, target)
    _fold_in(folder, fitted)
    return fitted


def _fold_in(folder: Path, fitted: Fitted) -> None:
    """Write the folder anew with these raw temperatures in place of those it had."""
    config = read_config(folder)
    card = config["fer_demo"]
    old, new = card["temperature"], fitted.temperature
    card["temperature"] = new
    card["uncertain_below"] = fitted.uncertain_below
    card["calibration"] = fitted.report
    step = {
        "fer2013": new["fer2013"] / old["fer2013"],
        "ferplus": new["ferplus7"] / old["ferplus7"],
    }
    state = fold_temperature(read_state(folder), config["pretrained_cfg"]["classifier"], step)
    write_folder(folder, config, state)


def summary(fitted: Fitted) -> str:
    """A few lines for people."""
    lines = []
    for head in ("fer2013", "ferplus7"):
        r, (low, high) = fitted.report[head], fitted.report[head]["ece_interval"]
        lines.append(
            f"{head}: raw temperature {r['temperature']:.4f}, cross-fitted on {r['n']} "
            f"images: ECE {100 * r['ece_before']:.2f} % -> {100 * r['ece']:.2f} % (a calibrated "
            f"model: {100 * low:.2f} to {100 * high:.2f} %), NLL {r['nll_before']:.4f} -> "
            f"{r['nll']:.4f} (at the best temperature {r['nll_at_best_temperature']:.4f})."
        )
    held = fitted.report["ferplus7"]["at_threshold"]
    lines.append(
        f"Uncertain below {fitted.uncertain_below:.2f}: held out, {100 * held['coverage']:.1f} % "
        f"of the images are answered and {100 * held['accuracy']:.1f} % of those rightly."
    )
    return "\n".join(lines)


def read_data(data: Path, seen_in: Path | None) -> tuple[LabelledFaces, LabelledFaces]:
    """PublicTest, and the training split that lies beside it unless another place is named.

    Raises:
        DataError: they are not there, or it is PrivateTest.
    """
    if split_name(data, "public_test") == "private_test":
        raise DataError(f"{data} is PrivateTest: it is held out.")
    beside = data.parent if data.suffix == ".parquet" else data
    faces, train = read_split(data, "public_test"), read_split(seen_in or beside, "train")
    tell_cautions(faces, train)
    return faces, train


def add_accuracy(parser: argparse.ArgumentParser) -> None:
    """--accuracy: what an answer's certainty is worth."""
    parser.add_argument(
        "--accuracy",
        type=_share,
        default=TARGET_ACCURACY,
        metavar="SHARE",
        help="so many answers are right from the fitted confidence on; %(default)s by default",
    )


def _share(text: str) -> float:
    """A command line's share, between 0 and 1.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"a share between 0 and 1, as .95, not {text}")
    return value


@told
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = parser_of("calibrate", __doc__)
    add_weights(parser)
    add_data(parser)
    add_seen_in(parser)
    add_accuracy(parser)
    given = parser.parse_args(arguments)
    faces, train = read_data(given.data, given.seen_in)
    fitted = calibrate(given.weights, faces, train, given.accuracy)
    print(summary(fitted))


if __name__ == "__main__":
    sys.exit(main())
