"""Measure weights on a labelled set; print a summary and write everything as JSON.

    python -m training.evaluate --weights DIR [--weights DIR ...] --data FILE_OR_DIR \
        [--split SPLIT] [--labels NAME=EXPRESSION ...] [--tta] [--seen-in TRAIN_DATA] \
        [--corruptions [EVERY]] [--by-pose] [--small-faces] [--errors DIR] [--json OUT] [--beside]

Several --weights are also measured together, as `ensemble` in the way of the app: the log of the
mean probability, over the temperature of `ensemble.json` beside them where that is theirs. Two
heads, three protocols, never mixed: `fer2013` (its seven classes, its labels), `ferplus8` (the
strict majority of FER+'s votes, single ones dropped, where that is one of eight expressions),
`ferplus7` (what has the most votes, where that is one of the seven expressions that the app shows).
Where the set has no votes, `given7` is the head that the app shows against the set's own labels.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_demo.faces import load_detector
from fer_demo.settings import Settings
from fer_demo.types import (
    EXPRESSIONS,
    FER2013_HEAD,
    FERPLUS7_HEAD,
    FERPLUS_EXPRESSIONS,
    FERPLUS_HEAD,
)
from training.command import add_data, add_weights, parser_of, told
from training.corruptions import CORRUPTIONS, corrupt
from training.data import read_split, split_name, tell_cautions
from training.duplicates import duplicate_groups, seen_in
from training.error_sheets import write_sheets
from training.folder import weights_sha256
from training.formats import SKIP, SPLITS, DataError, LabelledFaces
from training.metrics import ece, entropy_correlation, head_report
from training.pose import accuracy_by_pose, share_right, yaw_and_size
from training.predict import Model, models_of
from training.record import write_json
from training.small_faces import by_width
from training.votes import ferplus7_label, ferplus8_label, is_tie, vote_entropy


@dataclass(frozen=True, slots=True, eq=False)
class Protocol:
    """Which logits are held against which labels."""

    rows: slice
    """Of the 15 logits."""
    names: tuple[str, ...]
    label: NDArray[np.int64]
    """(N,), -1 where the protocol leaves an image out."""


def protocols(faces: LabelledFaces) -> dict[str, Protocol]:
    """The protocols that a set's labels allow, by name."""
    found = {"fer2013": Protocol(FER2013_HEAD, EXPRESSIONS, faces.label)}
    if faces.votes is None:
        found["given7"] = Protocol(FERPLUS7_HEAD, EXPRESSIONS, faces.label)
    else:
        label8, label7 = ferplus8_label(faces.votes), ferplus7_label(faces.votes)
        found["ferplus8"] = Protocol(FERPLUS_HEAD, FERPLUS_EXPRESSIONS, label8)
        found["ferplus7"] = Protocol(FERPLUS7_HEAD, EXPRESSIONS, label7)
    return {name: protocol for name, protocol in found.items() if (protocol.label >= 0).any()}


def measure(
    model: Model,
    faces: LabelledFaces,
    *,
    tta: bool = False,
    unseen: NDArray[np.bool_] | None = None,
    corruptions: int = 0,
) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """A model's results by protocol, and its logits by protocol.

    Args:
        tta: average the logits with those of the mirrored crop.
        unseen: (N,) which images are in no training file; they are reported apart, if there are
            any.
        corruptions: also measure accuracy under each corruption at each level, of every so many-th
            image, and its mean over them all relative to that on the same images when clean; 0 not
            to.
    """
    held = protocols(faces)
    rows = [protocol.rows for protocol in held.values()]
    logits = dict(zip(held, model.logits(faces.grey, rows, flip=tta), strict=True))
    groups = duplicate_groups(faces.grey)
    results: dict[str, Any] = {}
    reports: list[tuple[str, NDArray[np.bool_], dict[str, Any]]] = []  # of which images
    for name, protocol in held.items():
        kept = protocol.label >= 0
        results[name] = _report(name, protocol, logits[name], faces, groups, kept, model)
        reports.append((name, kept, results[name]))
        if unseen is not None and (kept & unseen).any():
            kept = kept & unseen
            apart = _report(name, protocol, logits[name], faces, groups, kept, model)
            results[name]["unseen"] = apart
            reports.append((name, kept, apart))
    if corruptions:
        some = slice(None, None, corruptions)
        reports = [(name, kept[some], report) for name, kept, report in reports if kept[some].any()]
        for name, kept, report in reports:
            right = (logits[name].argmax(1) == held[name].label)[some][kept]
            report["corruptions_n"] = len(right)
            report["corruptions_clean"] = round(float(right.mean()), 5)
        for kind in CORRUPTIONS:
            for level in (1, 2, 3):
                asked = model.logits(corrupt(faces.grey[some], kind, level), rows, flip=tta)
                spoiled = dict(zip(held, asked, strict=True))
                for name, kept, report in reports:
                    right = (spoiled[name].argmax(1) == held[name].label[some])[kept]
                    table = report.setdefault("corruptions", {})
                    table.setdefault(kind, []).append(round(float(right.mean()), 5))
        for _, _, report in reports:
            mean = float(np.mean(list(report["corruptions"].values())))
            clean = report["corruptions_clean"]
            report["corruptions_relative"] = round(mean / clean, 5) if clean else None
    return results, logits


def _report(
    name: str,
    protocol: Protocol,
    logits: NDArray[np.float32],
    faces: LabelledFaces,
    groups: NDArray[np.int64],
    kept: NDArray[np.bool_],
    model: Model,
) -> dict[str, Any]:
    x, label = logits[kept], protocol.label[kept]
    _, group = np.unique(groups[kept], return_inverse=True)
    report = head_report(x, label, protocol.names, group)
    if name in model.temperature:
        report["ece_raw"] = round(ece(x * np.float32(model.temperature[name]), label), 5)
    if faces.votes is not None:
        # Of the same classes as the prediction: contempt is one of the eight only.
        voted = vote_entropy(faces.votes[kept], len(protocol.names))
        report["entropy_correlation"] = entropy_correlation(x, voted)
        if name == "ferplus7":
            clear = ~is_tie(faces.votes[kept])
            right = (x.argmax(1) == label)[clear]
            if len(right):
                accuracy = round(float(right.mean()), 5)
                report["without_ties"] = {"n": len(right), "accuracy": accuracy}
    return report


def summary(results: dict[str, Any]) -> str:
    """A few lines for people: percent, on the whole set and on its unseen part."""
    further = []
    lines = [f"{'':24}{'n':>6} {'accuracy':>14} {'macro F1':>9} {'NLL':>7} {'ECE':>6}"]
    for model, heads in results.items():
        for head, whole in heads.items():
            for part, r in (("", whole), (" unseen", whole.get("unseen"))):
                if r is None:
                    continue
                title = f"{model} {head}{part}"
                lines.append(
                    f"{title:24}{r['n']:6} "
                    f"{100 * r['accuracy']:6.2f} ± {100 * r['standard_error']:4.2f} "
                    f"{100 * r['macro_f1']:9.2f} {r['nll']:7.4f} {100 * r['ece']:5.2f} %"
                )
                if "without_ties" in r:
                    apart = r["without_ties"]
                    further.append(
                        f"{title}, without ties of votes: {100 * apart['accuracy']:.2f} % of "
                        f"{apart['n']}"
                    )
                further += _robustness(title, r)
    return "\n".join(lines + further)


def _robustness(title: str, report: dict[str, Any]) -> list[str]:
    """Lines on spoiled, turned and small faces, where these were measured."""
    lines, bins = [], []
    if report.get("corruptions_relative") is not None:
        mean = 100 * np.mean(list(report["corruptions"].values()))
        share = 100 * report["corruptions_relative"]
        lines.append(
            f"{title}: {mean:.2f} % over the corruptions, {share:.1f} % of that on clean images "
            f"({report['corruptions_n']} of them)"
        )
    if "pose" in report:
        pose = report["pose"]
        bins += [(f"{by} {name}", b) for by in ("yaw", "size") for name, b in pose[by].items()]
        bins.append(("no face found", pose["no face found"]))
    bins += [(f"{width} wide", b) for width, b in report.get("small_faces", {}).items()]
    for name, found in bins:
        accuracy = "–" if found["n"] == 0 else f"{100 * found['accuracy']:.2f} %"
        lines.append(f"{title}, {name}: {accuracy} of {found['n']}")
    return lines


def parse_labels(pairs: list[str]) -> dict[str, str]:
    """`["joy=happy"]` to `{"joy": "happy"}`.

    Raises:
        DataError: one is not NAME=EXPRESSION.
    """
    wrong = [pair for pair in pairs if pair.count("=") != 1]
    if wrong:
        raise DataError(f"--labels takes NAME=EXPRESSION, not {wrong[0]}.")
    return dict(pair.split("=") for pair in pairs)


def evaluate(given: argparse.Namespace) -> dict[str, Any]:
    """Everything the command line asks for, as the JSON document."""
    labels = parse_labels(given.labels)
    faces = read_split(given.data, given.split, labels)
    if not len(faces):
        raise DataError(f"No picture of {given.data} is left: --labels skips them all.")
    tell_cautions(faces)
    unseen = None
    if given.seen_in is not None:
        # Of these only the pixels matter: a name is known or skipped for the set that is measured.
        train = read_split(given.seen_in, "train", dict.fromkeys(labels, EXPRESSIONS[0]))
        tell_cautions(train)
        unseen = ~seen_in(faces.grey, train.grey)
    models = models_of(given.weights)
    document: dict[str, Any] = {
        "data": given.data.name,
        "split": split_name(given.data, given.split),
        "n": len(faces),
        "tta": given.tta,
        "caution": faces.caution,
        "weights": {},  # sha256 by model: publishing compares
        "results": {},
    }
    pose = None
    if given.by_pose:
        pose = yaw_and_size(faces.grey, load_detector(Settings.from_environment()))
    small = by_width(faces.grey) if given.small_faces else {}
    for model in models:
        results, logits = measure(
            model, faces, tta=given.tta, unseen=unseen, corruptions=given.corruptions
        )
        document["results"][model.name] = results
        if len(model.networks) == 1:
            document["weights"][model.name] = weights_sha256(model.networks[0].folder)
        # The head that the app shows.
        shown, protocol = list(protocols(faces).items())[-1]
        parts = [(results[shown], protocol.label >= 0)]
        if unseen is not None and "unseen" in results[shown]:
            parts.append((results[shown]["unseen"], (protocol.label >= 0) & unseen))
        if pose is not None:
            right = logits[shown].argmax(1) == protocol.label
            for report, kept in parts:
                report["pose"] = accuracy_by_pose(pose[0][kept], pose[1][kept], right[kept])
        for width, crops in small.items():
            (answers,) = model.logits(crops, [protocol.rows], flip=given.tta)
            right = answers.argmax(1) == protocol.label
            for report, kept in parts:
                report.setdefault("small_faces", {})[width] = share_right(kept, right)
        if given.errors is not None:
            write_sheets(given.errors / model.name, faces, logits[shown], protocol.label)
    return document


def write_beside(folders: Sequence[Path], document: dict[str, Any]) -> None:
    """What the app and `training.publish` read: each network's part beside its weights, and, of
    several, the whole beside their folders."""
    for folder in folders:
        name = folder.resolve().name
        alone = {key: {name: document[key][name]} for key in ("weights", "results")}
        write_json(folder / "evaluation.json", document | alone)
    if len(folders) > 1:
        write_json(folders[0].resolve().parent / "evaluation.json", document)


@told
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = parser_of("evaluate", __doc__)
    add_weights(parser, several=True)
    add_data(parser)
    parser.add_argument(
        "--split", choices=SPLITS, default="public_test", help="of FER2013; %(default)s by default"
    )
    parser.add_argument(
        "--labels",
        nargs="*",
        action="extend",
        default=[],
        metavar="NAME=EXPRESSION",
        help=f"what the set's own names mean; NAME={SKIP} leaves pictures out",
    )
    parser.add_argument("--tta", action="store_true", help="average with the mirrored crop")
    parser.add_argument(
        "--seen-in",
        type=Path,
        metavar="TRAIN_DATA",
        help="give every figure also of the images that are not in this training data",
    )
    parser.add_argument(
        "--corruptions",
        type=int,
        nargs="?",
        const=1,
        default=0,
        metavar="EVERY",
        help="also of every image, or every so many-th, under eight corruptions at three levels",
    )
    parser.add_argument("--by-pose", action="store_true", help="accuracy by yaw and face size")
    parser.add_argument(
        "--small-faces", action="store_true", help="accuracy by the face's width in a photo"
    )
    parser.add_argument("--errors", type=Path, metavar="DIR", help="contact sheets; keep local")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all figures here")
    parser.add_argument(
        "--beside", action="store_true", help="write evaluation.json where the app looks for it"
    )
    given = parser.parse_args(arguments)
    document = evaluate(given)
    print(summary(document["results"]))  # first: what took long is not lost where it cannot be kept
    if given.json is not None:
        write_json(given.json, document)
    if given.beside:
        write_beside(given.weights, document)


if __name__ == "__main__":
    sys.exit(main())
