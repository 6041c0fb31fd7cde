"""Train a recipe at every point of a grid of settings, and compare the points pairwise.

    python -m training.sweep --recipe training/recipes/resnet18.toml --data DIR --out runs/lr \
        --set learning_rate=2e-3,1e-3,4e-3 --set weight_decay=0.05,0.02 \
        --input-size 48 --epochs 6 --decay-epochs 2 --json training/results/sweep_lr.json

The first value of each setting is the reference (of the points that finish). Points that were
trained before are read back, one that was interrupted goes on, and one whose loss is no number any
more is told and left out. Differences are of the per-image NLL, paired, with a bootstrap interval,
on the images of PublicTest that are in no training file: with some 3,000 images the standard error
of an accuracy hides effects of a point, which a paired NLL shows. The NLL is that after a
cross-fitted temperature, as what ships has one: else it would tell who is better calibrated. One
seed, unless `--set seed=0,1,2`.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_demo.types import EXPRESSIONS, FER2013_HEAD, FERPLUS_HEAD
from training.command import add_run_options, parser_of, told
from training.data import read_train_and_valid, tell_cautions
from training.distill import Targets, read_targets
from training.duplicates import duplicate_groups, fit_for_selection
from training.formats import LabelledFaces
from training.metrics import Floats, bootstrap, cross_fitted_nll, folds_of, nll
from training.predict import predict_logits
from training.recipe import (
    Recipe,
    RecipeError,
    add_override_arguments,
    load_recipe,
    overrides_from,
)
from training.record import write_json
from training.run import Run, check_inputs, read_checkpoint, recipe_of
from training.stop import Diverged, Stop, TrainingStopped
from training.train import fit, refuse_unused
from training.votes import ferplus8_label

GO_ON = "Give the same command again to go on."


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What one point of the grid reached on the selection split."""

    settings: dict[str, Any]
    row: dict[str, Any]
    nll: dict[str, Floats]
    """Per image, by head; the same images in the same order at every point."""


def grid(pairs: list[str]) -> list[dict[str, Any]]:
    """`["a=1,2", "b=x,y"]` to four dicts, the reference (first values) first.

    Raises:
        RecipeError: a pair is not NAME=VALUE,VALUE or names no scalar setting.
    """
    kinds = {field.name: str(field.type) for field in fields(Recipe)}
    casts: dict[str, Any] = {"int": int, "float": float, "str": str}
    axes = []
    for pair in pairs:
        name, _, values = pair.partition("=")
        cast = casts.get(kinds.get(name, ""))
        if cast is None or not values:
            raise RecipeError(f"--set takes SETTING=VALUE,VALUE, not {pair}.")
        if name == "precision":
            raise RecipeError("--set precision: a process computes in one. Sweep each by itself.")
        try:
            axes.append([(name, cast(value)) for value in values.split(",")])
        except ValueError:
            raise RecipeError(f"--set {pair}: {name} is {kinds[name]}.") from None
    return [dict(point) for point in itertools.product(*axes)]


def recipe_at(path: Path, overrides: dict[str, Any], settings: dict[str, Any]) -> Recipe:
    """The recipe of one point: the file's, with the overrides, with the point's settings.

    Raises:
        RecipeError: the file is no recipe, or a value is out of range.
    """
    # A size of the grid is meant for the whole run, as one on the command line is.
    whole = {"progressive": ()} if "input_size" in settings else {}
    return load_recipe(path, overrides | settings | whole)


def run_of(
    recipe: Recipe,
    train: LabelledFaces,
    valid: LabelledFaces,
    out: Path,
    *,
    targets: Targets | None,
    weights: Path | None,
) -> Run:
    """The run of one point, where it was left or at its beginning.

    Raises:
        RecipeError: the folder holds a run of other settings.
        TrainingStopped: its checkpoint cannot be read, or is of other teachers or first weights.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / "last.pt"
    resumes = path.is_file()
    if resumes and recipe_of(read_checkpoint(path)) != recipe:
        raise RecipeError(f"{out} holds a run of other settings: choose another --out.")
    taught = targets if recipe.teacher_weight > 0 else None
    run = Run(recipe, train, valid, out, targets=taught, weights=weights, resumes=resumes)
    if resumes:
        run.load(path)
    return run


def outcome(
    run: Run, settings: dict[str, Any], valid: LabelledFaces, fold: NDArray[np.int64]
) -> Outcome:
    """What a finished run reaches on the selection split, by each head that learned something.

    Args:
        fold: (N,) of the selection split, for temperatures that are cross-fitted.
    """
    with run.accelerator.autocast():
        logits = predict_logits(run.ema.module, run.valid_grey, run.recipe.input_size).cpu().numpy()
    labels = {"fer2013": valid.label}
    if valid.votes is not None and run.learns_ferplus:
        labels["ferplus8"] = ferplus8_label(valid.votes)
    row: dict[str, Any] = {}
    each: dict[str, Floats] = {}
    for (head, label), rows in zip(labels.items(), (FER2013_HEAD, FERPLUS_HEAD), strict=False):
        kept = label >= 0
        x, y = logits[kept][:, rows], label[kept]
        each[head] = cross_fitted_nll(x, y, fold[kept])
        right = x.argmax(1) == y
        disgust = y == EXPRESSIONS.index("disgust")
        row[head] = {
            "n": len(y),
            "accuracy": round(float(right.mean()), 5),
            "standard_error": round(float(right.std() / np.sqrt(len(y))), 5),
            "disgust_recall": round(float(right[disgust].mean()), 5) if disgust.any() else None,
            "nll": round(float(each[head].mean()), 5),
            "nll_uncalibrated": round(nll(x.astype(np.float64), y), 5),
        }
    row |= {"minutes": run.history[-1]["minutes"], "made_by": run.made_by}
    return Outcome(settings, row, each)


def compare(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """A row a point; all but the first carry their paired NLL difference from the first."""
    first = outcomes[0]
    rows = []
    for outcome in outcomes:
        row = {"settings": outcome.settings, **outcome.row}
        if outcome is not first:
            for head in outcome.nll.keys() & first.nll.keys():
                difference = outcome.nll[head] - first.nll[head]
                mean, low, high = (round(figure, 5) for figure in bootstrap(difference))
                row[head] |= {"nll_difference": mean, "nll_interval": (low, high)}
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, percent and nats."""
    heads = [name for name in ("fer2013", "ferplus8") if any(name in row for row in rows)]
    measures = ("%", "disgust recall %", "NLL", "difference")
    titles = ["settings", *(f"{head} {m}" for head in heads for m in measures), "minutes"]
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for row in rows:
        cells = [" ".join(f"{k}={v}" for k, v in row["settings"].items())]
        for head in heads:
            r = row.get(head)
            if r is None:
                cells += ["–"] * len(measures)
                continue
            recall = "–" if r["disgust_recall"] is None else f"{100 * r['disgust_recall']:.1f}"
            difference = "–"
            if "nll_interval" in r:
                low, high = r["nll_interval"]
                difference = f"{r['nll_difference']:+.3f} ({low:+.3f} to {high:+.3f})"
            accuracy = f"{100 * r['accuracy']:.2f} ± {100 * r['standard_error']:.2f}"
            cells += [accuracy, recall, f"{r['nll']:.4f}", difference]
        lines.append(f"| {' | '.join([*cells, str(row['minutes'])])} |")
    return "\n".join(lines)


def sweep(given: argparse.Namespace, stop: Stop) -> tuple[list[Outcome], list[dict[str, Any]]]:
    """Train, or read back, every point of the grid.

    Returns:
        The points that finished, and the settings of those that diverged.

    Raises:
        TrainingStopped: interrupted; what was saved is used next time.
    """
    overrides = overrides_from(given)
    points = {
        ",".join(f"{k}={v}" for k, v in settings.items()): settings for settings in grid(given.set)
    }
    recipes = {name: recipe_at(given.recipe, overrides, point) for name, point in points.items()}
    refuse_unused(list(recipes.values()), given.targets, given.weights)
    for name, recipe in recipes.items():
        begun = given.weights is not None or (given.out / name / "last.pt").is_file()
        check_inputs(recipe, targeted=given.targets is not None, begun=begun)
    train, valid = read_train_and_valid(given.data)
    valid = fit_for_selection(valid, train)
    tell_cautions(train, valid)
    targets = None if given.targets is None else read_targets(given.targets, train)
    fold = folds_of(duplicate_groups(valid.grey))
    outcomes, diverged = [], []
    for name, recipe in recipes.items():
        run = run_of(recipe, train, valid, given.out / name, targets=targets, weights=given.weights)
        try:
            fit(run, stop)
        except Diverged as error:
            print(f"{name}: {error.happened}", file=sys.stderr)
            diverged.append(points[name])
        else:
            outcomes.append(outcome(run, points[name], valid, fold))
    if not outcomes:
        raise Diverged("No point of the grid finished.")
    return outcomes, diverged


@told
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = parser_of("sweep", __doc__)
    add_run_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument(
        "--set",
        action="append",
        required=True,
        metavar="SETTING=VALUE,VALUE",
        help="an axis of the grid; the first value is what the others are compared with",
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the table here, too")
    add_override_arguments(parser)
    given = parser.parse_args(arguments)
    stop = Stop()
    if given.json is not None:  # hours later is too late to find that it cannot be made
        given.json.parent.mkdir(parents=True, exist_ok=True)
    try:
        outcomes, diverged = sweep(given, stop)
    except TrainingStopped as error:
        raise TrainingStopped(error.happened, GO_ON if error.advice else "") from None
    rows = compare(outcomes)
    print(table(rows))
    if given.json is not None:
        document = {
            "recipe": given.recipe.name,
            "overrides": overrides_from(given),
            "rows": rows,
            "diverged": diverged,
        }
        write_json(given.json, document)


if __name__ == "__main__":
    sys.exit(main())
