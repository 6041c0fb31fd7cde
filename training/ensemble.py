"""Measure several calibrated networks together, and fit how sure they may be as one.

    python -m training.ensemble --weights DIR --weights DIR [--weights DIR ...] \
        --data FILE_OR_DIR [--seen-in TRAIN_DATA]

On the same images and in the same way as `training.calibrate`: a temperature of the log of their
mean probability, and the confidence from which answers are right 95 times in 100. Writes
`ensemble.json` beside the folders. The app reads it for networks with these sha256, and makes the
ensemble its default for photos where it names no fewer images rightly than each network alone. Of
the figures the networks' own temperatures are not cross-fitted: they are in the weights.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from fer_demo.ensemble import ENSEMBLE, FILE, together
from fer_demo.types import FER2013_HEAD, FERPLUS7_HEAD
from training.calibrate import TARGET_ACCURACY, add_accuracy, fit, read_data, summary, unseen
from training.command import add_data, add_seen_in, add_weights, parser_of, told
from training.data import votes_of
from training.folder import FolderError, read_config, weights_sha256
from training.formats import LabelledFaces
from training.metrics import Floats, bootstrap
from training.predict import Model, Network
from training.record import write_json
from training.votes import ferplus7_label


def measure(
    folders: list[Path], faces: LabelledFaces, train: LabelledFaces, target: float = TARGET_ACCURACY
) -> tuple[dict[str, Any], str]:
    """The document that `fer_demo.ensemble` reads, and a summary for people.

    Raises:
        DataError: models may not be calibrated on this data.
        FolderError: a folder was not calibrated by itself.
    """
    for folder in folders:
        if "calibration" not in read_config(folder)["fer_demo"]:
            raise FolderError(f"{folder} was not calibrated. Run training.calibrate on it first.")
    faces = unseen(faces, train)
    rows = [FER2013_HEAD, FERPLUS7_HEAD]
    each = [Model(f.name, [Network(f)]).logits(faces.grey, rows, flip=False) for f in folders]
    hard, soft = (together(list(of_head)) for of_head in zip(*each, strict=True))
    fitted = fit(hard, soft, faces, target)
    names = [folder.resolve().name for folder in folders]
    answers = dict(zip((*names, ENSEMBLE), (*(one[1] for one in each), soft), strict=True))
    right = {name: _right(logits, faces) for name, logits in answers.items()}
    accuracy = {name: float(hits.mean()) for name, hits in right.items()}
    best = max(names, key=lambda name: accuracy[name])
    ahead = bootstrap(right[ENSEMBLE] - right[best])
    document = {
        "format": 1,
        "members": {n: weights_sha256(f) for n, f in zip(names, folders, strict=True)},
        "accuracy": {name: round(share, 5) for name, share in accuracy.items()},
        "ahead_of_best": [round(figure, 5) for figure in ahead],
        "temperature": fitted.temperature,
        "uncertain_below": fitted.uncertain_below,
        "calibration": fitted.report,
    }
    shares = ", ".join(f"{name} {100 * right:.2f} %" for name, right in accuracy.items())
    mean, low, high = (100 * figure for figure in ahead)
    return document, (
        f"{summary(fitted)}\nRight on unseen images, ferplus7: {shares}. Together {mean:+.2f} "
        f"points from {best}, paired, 95 % interval {low:+.2f} to {high:+.2f}."
    )


def _right(logits: Floats, faces: LabelledFaces) -> Floats:
    """1 where the head that the app shows is right, else 0, of the images with an answer."""
    voted = ferplus7_label(votes_of(faces))
    kept = voted >= 0
    return (logits.argmax(1) == voted)[kept].astype(np.float64)


@told
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = parser_of("ensemble", __doc__)
    add_weights(parser, several=True)
    add_data(parser)
    add_seen_in(parser)
    add_accuracy(parser)
    given = parser.parse_args(arguments)
    parents = {folder.resolve().parent for folder in given.weights}
    if len(set(map(Path.resolve, given.weights))) < 2 or len(parents) > 1:
        raise FolderError(
            "An ensemble takes two or more different --weights that lie in one folder."
        )
    faces, train = read_data(given.data, given.seen_in)
    document, words = measure(given.weights, faces, train, given.accuracy)
    path = parents.pop() / FILE
    write_json(path, document)
    print(f"{words}\nWrote {path}.")


if __name__ == "__main__":
    sys.exit(main())
