"""Hold weights against those that they would replace, image by image.

    python -m training.compare --weights OLD --weights NEW [--weights NEW ...] --data FILE_OR_DIR \
        [--seen-in TRAIN_DATA] [--tta]

On the images of PublicTest that are in no training file: accuracy and NLL (after a cross-fitted
temperature) of each, and their paired differences from the first with 95 % intervals. Two
accuracies with their standard errors hide what the same images tell.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from training.calibrate import read_data
from training.command import add_data, add_seen_in, add_weights, parser_of, told
from training.duplicates import duplicate_groups, fit_for_selection
from training.evaluate import protocols
from training.formats import LabelledFaces
from training.metrics import bootstrap, cross_fitted_nll, folds_of
from training.predict import Model, Network


def compare(folders: list[Path], faces: LabelledFaces, *, tta: bool = False) -> str:
    """A table for people: a line for each protocol and each of the folders, the first without
    differences."""
    models = [Model(str(folder), [Network(folder)]) for folder in folders]
    groups = duplicate_groups(faces.grey)
    lines = [f"{'':12}{'n':>6}{'accuracy':>10}{'NLL':>8}  differences from the first"]
    for name, protocol in protocols(faces).items():
        kept = protocol.label >= 0
        label = protocol.label[kept]
        _, group = np.unique(groups[kept], return_inverse=True)
        fold = folds_of(group)
        first = None
        for model in models:
            logits = model.logits(faces.grey, [protocol.rows], flip=tta)[0][kept]
            right = 100.0 * (logits.argmax(1) == label)
            each = cross_fitted_nll(logits, label, fold)
            line = f"{name:12}{len(label):6}{right.mean():10.2f}{each.mean():8.4f}"
            if first is None:
                first = right, each
            else:
                points = "{:+.2f} ({:+.2f} to {:+.2f})".format(*bootstrap(right - first[0]))
                nats = "{:+.4f} ({:+.4f} to {:+.4f})".format(*bootstrap(each - first[1]))
                line += f"  {points} points, {nats} nats"
            lines.append(f"{line}  {model.name}")
    return "\n".join(lines)


@told
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = parser_of("compare", __doc__)
    add_weights(parser, several=True)
    add_data(parser)
    add_seen_in(parser)
    parser.add_argument("--tta", action="store_true", help="average with the mirrored crop")
    given = parser.parse_args(arguments)
    faces, train = read_data(given.data, given.seen_in)
    print(compare(given.weights, fit_for_selection(faces, train), tta=given.tta))


if __name__ == "__main__":
    sys.exit(main())
