"""Train one network from a recipe, resumably, on CPU, one GPU or many.

    python -m training.train --recipe training/recipes/resnet18.toml --data DIR --out runs/resnet18
    accelerate launch -m training.train --recipe ... (several processes or machines)

Every step draws its batch order, augmentation and dropout from (seed, step) alone, so a run that
was interrupted anywhere continues as if it had not been. The learning rate warms up, stays, and
falls over the last `decay_epochs`; the checkpoint from before the fall is kept, so a finished run
can be made longer: `--resume --epochs MORE`.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from tqdm import tqdm

from training.command import add_run_options, parser_of, told
from training.data import read_train_and_valid, tell_cautions
from training.distill import read_targets
from training.recipe import (
    Recipe,
    RecipeError,
    add_override_arguments,
    load_recipe,
    overrides_from,
)
from training.run import Run, read_checkpoint, recipe_of
from training.stop import Diverged, Stop, TrainingStopped

LOG_EVERY = 20

MAY_CHANGE = ("epochs", "decay_epochs", "learning_rate")
"""Settings that a resumed run may have otherwise."""


def fit(run: Run, stop: Stop) -> None:
    """Train to the end of the schedule, a checkpoint and a line in the log each epoch.

    Raises:
        Diverged: the loss, or a weight, is not a number.
        TrainingStopped: that, a checkpoint could not be written, or `stop` was asked for; the
            last good checkpoint is intact and resumable.
    """
    recipe, began = run.recipe, time.monotonic()
    counted, first = began, run.step
    alone = run.accelerator.num_processes == 1
    shown = run.accelerator.is_main_process and sys.stderr.isatty()
    bar = tqdm(total=run.total_steps, initial=run.step, unit="step", disable=not shown)
    while run.step < run.total_steps:
        run.train_step()
        bar.update()
        epoch, index = divmod(run.step, run.steps_per_epoch)
        reports = run.step % LOG_EVERY == 0 or index == 0
        # Several processes must agree to stop. That costs a message, so only when they report.
        stops = stop.asked if alone else reports and run.any_process(stop.asked)
        if reports or stops:
            loss = run.mean_loss()
            if not math.isfinite(loss):
                raise _diverged(run, f"The loss became {loss}")
            rate = (run.step - first) * recipe.batch_size / (time.monotonic() - began)
            lr = run.optimizer.param_groups[0]["lr"]
            bar.set_postfix(loss=f"{loss:.4f}", lr=f"{lr:.1e}", images_s=f"{rate:.0f}")
        if (index == 0 or stops) and not run.is_finite():
            raise _diverged(run, "A weight became no number")
        if index == 0:
            validated, now = run.validate(), time.monotonic()
            run.seconds, counted = run.seconds + now - counted, now
            line = {
                "epoch": epoch,
                "loss": round(loss, 5),
                "learning_rate": lr,
                **validated,
                "size": recipe.train_size(epoch - 1),
                "images_s": round(rate),
                "processes": run.accelerator.num_processes,
                "minutes": round(run.seconds / 60, 2),
            }
            run.history.append(line)
            run.loss_sum, run.loss_steps = torch.zeros_like(run.loss_sum), 0
            run.save()
            if epoch == recipe.epochs - recipe.decay_epochs:
                run.save("before_decay.pt")
            run.write_log()
            if run.accelerator.is_main_process:
                tqdm.write(json.dumps(line))
            began, first = time.monotonic(), run.step
        if stops:
            run.seconds += time.monotonic() - counted
            run.save()
            raise TrainingStopped(
                f"Stopped at step {run.step} of {run.total_steps}, saved in {run.out}.",
                "Give the same command with --resume to continue.",
            )


def _diverged(run: Run, what: str) -> Diverged:
    happened = f"{what} near step {run.step}."
    if (run.out / "last.pt").is_file():
        return Diverged(
            happened,
            f"The last checkpoint, {run.out / 'last.pt'}, is from before that: give the same "
            "command with --resume and a lower --learning-rate, and start anew if that happens "
            "again at once.",
        )
    advice = "There is no checkpoint yet: start again with a lower --learning-rate."
    return Diverged(happened, advice)


def resume_point(run: Run) -> Path:
    """The checkpoint to continue from: the last, or for a longer schedule the one before decay.

    Raises:
        TrainingStopped: there is none that can be read, or the recipe differs in more than its
            length, or ends before it.
    """
    path = run.out / "last.pt"
    if not path.is_file():
        raise TrainingStopped(f"{run.out} holds no checkpoint to resume from.")
    old = read_checkpoint(path)
    recipe = recipe_of(old)
    free = {name: getattr(run.recipe, name) for name in MAY_CHANGE}
    if replace(recipe, **free) != run.recipe:
        raise TrainingStopped(
            f"{path} was made with other settings. Resume with the same recipe and overrides "
            f"(only {', '.join(MAY_CHANGE)} may change), or choose another --out."
        )
    if run.recipe.epochs < recipe.epochs and old["step"] >= run.total_steps:
        raise TrainingStopped(
            f"{path} is past epoch {run.recipe.epochs} already, and its learning rate fell "
            "otherwise: only --epochs above what is done can shorten a run."
        )
    longer = run.recipe.epochs > recipe.epochs
    decay_begins = (recipe.epochs - recipe.decay_epochs) * run.steps_per_epoch
    if not longer and run.recipe.decay_epochs != recipe.decay_epochs and old["step"] > decay_begins:
        raise TrainingStopped(
            f"{path} is past the epoch in which its learning rate began to fall: another "
            "--decay-epochs would make it jump. Only a longer run, with --epochs, begins to fall "
            "anew."
        )
    if longer and old["step"] > decay_begins:
        path = run.out / "before_decay.pt"
        if not path.is_file():
            raise TrainingStopped(
                f"{run.out} cannot be made longer: it kept no checkpoint from before its learning "
                "rate fell."
            )
    return path


def refuse_unused(recipes: Sequence[Recipe], targets: Path | None, weights: Path | None) -> None:
    """A run that silently left out what it was given would be taken for another.

    Raises:
        RecipeError: none of the recipes uses the targets, or the weights.
    """
    if weights is not None and all(recipe.init != "weights" for recipe in recipes):
        raise RecipeError("--weights begins a run only with --init weights.")
    if targets is not None and all(recipe.teacher_weight == 0 for recipe in recipes):
        raise RecipeError("--targets needs a teacher_weight above 0.")


@told
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = parser_of("train", __doc__)
    add_run_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    add_override_arguments(parser)
    given = parser.parse_args(arguments)
    stop = Stop()
    recipe = load_recipe(given.recipe, overrides_from(given))
    refuse_unused([recipe], given.targets, given.weights)
    train, valid = read_train_and_valid(given.data)
    given.out.mkdir(parents=True, exist_ok=True)
    targets = None if given.targets is None else read_targets(given.targets, train)
    run = Run(
        recipe,
        train,
        valid,
        given.out,
        targets=targets,
        weights=given.weights,
        resumes=given.resume,
    )
    if run.accelerator.is_main_process:
        tell_cautions(train, valid)
    if given.resume:
        run.load(resume_point(run))
        if run.step == run.total_steps:
            print(f"{given.out} is finished: --epochs MORE makes it longer.", file=sys.stderr)
    elif (given.out / "last.pt").exists():
        raise TrainingStopped(
            f"{given.out} holds a run already: add --resume to continue it, or choose another "
            "--out."
        )
    fit(run, stop)


if __name__ == "__main__":
    sys.exit(main())
