"""Train a recipe at every point of a grid of settings, and compare the points pairwise.

    python -m training.sweep --recipe training/recipes/resnet18.toml --data DIR --out runs/lr \
        --set learning_rate=2e-3,1e-3,4e-3 --set weight_decay=0.05,0.02 \
        --epochs 6 --decay-epochs 2 --json training/results/sweep_lr.json

The first value of each setting is the reference. Points that were trained before are read back,
and one that was interrupted goes on. Differences are of the per-image NLL on PublicTest, paired,
with a bootstrap interval: at 3,589 images the standard error of an accuracy hides effects of a
point, which a paired NLL shows. One seed, unless `--set seed=0,1,2`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from fer_demo.types import EXPRESSIONS, FER2013_HEAD, FERPLUS_HEAD
from training.data import DataError, LabelledFaces, read_split
from training.predict import predict_logits
from training.recipe import (
    Recipe,
    RecipeError,
    add_override_arguments,
    load_recipe,
    overrides_from,
)
from training.run import Run
from training.stop import Stop, TrainingStopped
from training.train import fit
from training.votes import ferplus8_label

RESAMPLES = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What one point of the grid reached on the selection split."""

    settings: dict[str, Any]
    row: dict[str, Any]
    nll: dict[str, NDArray[np.float64]]
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
        try:
            axes.append([(name, cast(value)) for value in values.split(",")])
        except ValueError:
            raise RecipeError(f"--set {pair}: {name} is {kinds[name]}.") from None
    return [dict(point) for point in itertools.product(*axes)]


def train_point(
    recipe: Recipe,
    settings: dict[str, Any],
    train: LabelledFaces,
    valid: LabelledFaces,
    out: Path,
    stop: Stop,
) -> Outcome:
    """Train, or read back, one point of the grid.

    Raises:
        TrainingStopped: interrupted or diverged; what was saved is used next time.
    """
    out.mkdir(parents=True, exist_ok=True)
    resumes = (out / "last.pt").is_file()
    run = Run(recipe, train, valid, out, resumes=resumes)
    if resumes:
        run.load(out / "last.pt")
    fit(run, stop)
    with run.accelerator.autocast():
        logits = predict_logits(run.ema.module, run.valid_grey, recipe.input_size).cpu().numpy()
    labels = {"fer2013": valid.label}
    if valid.votes is not None:
        labels["ferplus8"] = ferplus8_label(valid.votes)
    row: dict[str, Any] = {}
    nll = {}
    for (head, label), rows in zip(labels.items(), (FER2013_HEAD, FERPLUS_HEAD), strict=False):
        kept = label >= 0
        x, y = logits[kept][:, rows], label[kept]
        nll[head] = -log_softmax(x.astype(np.float64), axis=1)[np.arange(len(y)), y]
        right = x.argmax(1) == y
        disgust = y == EXPRESSIONS.index("disgust")
        row[head] = {
            "n": len(y),
            "accuracy": round(float(right.mean()), 5),
            "standard_error": round(float(right.std() / np.sqrt(len(y))), 5),
            "disgust_recall": round(float(right[disgust].mean()), 5) if disgust.any() else None,
            "nll": round(float(nll[head].mean()), 5),
        }
    row["minutes"] = run.history[-1]["minutes"]
    return Outcome(settings, row, nll)


def paired_interval(difference: NDArray[np.float64]) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of paired differences."""
    generator = np.random.default_rng(0)
    n = len(difference)
    means = [difference[generator.integers(0, n, n)].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, (0.025, 0.975))
    return round(float(low), 5), round(float(high), 5)


def compare(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """A row a point; all but the first carry their paired NLL difference from the first."""
    first = outcomes[0]
    rows = []
    for outcome in outcomes:
        row = {"settings": outcome.settings, **outcome.row}
        if outcome is not first:
            for head in outcome.nll:
                difference = outcome.nll[head] - first.nll[head]
                row[head] = row[head] | {
                    "nll_difference": round(float(difference.mean()), 5),
                    "nll_interval": paired_interval(difference),
                }
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, percent and nats."""
    heads = [name for name in ("fer2013", "ferplus8") if name in rows[0]]
    measures = ("%", "disgust recall %", "NLL", "difference")
    titles = ["settings", *(f"{head} {m}" for head in heads for m in measures), "minutes"]
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for row in rows:
        cells = [" ".join(f"{k}={v}" for k, v in row["settings"].items())]
        for head in heads:
            r = row[head]
            recall = "–" if r["disgust_recall"] is None else f"{100 * r['disgust_recall']:.1f}"
            difference = "–"
            if "nll_interval" in r:
                low, high = r["nll_interval"]
                difference = f"{r['nll_difference']:+.3f} ({low:+.3f} to {high:+.3f})"
            accuracy = f"{100 * r['accuracy']:.2f} ± {100 * r['standard_error']:.2f}"
            cells += [accuracy, recall, f"{r['nll']:.4f}", difference]
        lines.append(f"| {' | '.join([*cells, str(row['minutes'])])} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.sweep", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--set", action="append", required=True, metavar="SETTING=VALUE,VALUE")
    parser.add_argument("--json", type=Path, metavar="OUT")
    add_override_arguments(parser)
    given = parser.parse_args(arguments)
    stop = Stop()
    try:
        points = grid(given.set)
        train, valid = read_split(given.data, "train"), read_split(given.data, "public_test")
        outcomes = []
        for settings in points:
            recipe = load_recipe(given.recipe, overrides_from(given) | settings)
            name = ",".join(f"{k}={v}" for k, v in settings.items())
            outcomes.append(train_point(recipe, settings, train, valid, given.out / name, stop))
    except (RecipeError, DataError, TrainingStopped, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    rows = compare(outcomes)
    print(table(rows))
    if given.json is not None:
        document = {"recipe": given.recipe.name, "overrides": overrides_from(given), "rows": rows}
        given.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
