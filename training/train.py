"""Train one network from a recipe, resumably, on CPU, one GPU or many.

    python -m training.train --recipe training/recipes/resnet18.toml --data DIR --out runs/resnet18
    accelerate launch -m training.train --recipe ... (several processes or machines)

Every step draws its batch order, augmentation and dropout from (seed, step) alone, so a run that
was interrupted anywhere continues as if it had not been. The learning rate warms up, stays, and
falls over the last `decay_epochs`; the checkpoint from before the fall is kept, so a finished run
can be made longer: `--resume --epochs MORE`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from timm.optim import create_optimizer_v2
from timm.utils import ModelEmaV3
from torch import nn
from tqdm import tqdm

from fer_demo.types import FER2013_HEAD, FERPLUS_HEAD
from training.augment import augment
from training.curves import draw_curves
from training.data import DataError, LabelledFaces, read_split
from training.objective import (
    bf16_in_hardware,
    create_network,
    learning_rate,
    soft_targets,
    two_head_loss,
)
from training.predict import predict_logits
from training.recipe import (
    Recipe,
    RecipeError,
    add_override_arguments,
    as_dict,
    load_recipe,
    overrides_from,
)
from training.stop import Stop, TrainingStopped
from training.votes import ferplus8_label

LOG_EVERY = 20

MAY_CHANGE = ("epochs", "decay_epochs", "learning_rate")
"""Settings that a resumed run may have otherwise."""


class Run:
    """One training run: its data, network, optimizer and place in the schedule."""

    def __init__(
        self,
        recipe: Recipe,
        train: LabelledFaces,
        valid: LabelledFaces,
        out: Path,
        *,
        resumes: bool = False,
    ):
        bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and bf16_in_hardware())
        self.accelerator = Accelerator(mixed_precision="bf16" if bf16 else "no")
        self.recipe, self.out, self.step = recipe, out, 0
        self.history: list[dict[str, float]] = []
        device = self.accelerator.device
        torch.manual_seed(recipe.seed)
        pretrained = recipe.init == "imagenet" and not resumes
        network = create_network(recipe, pretrained=pretrained).to(device)
        network = network.to(memory_format=torch.channels_last)
        self.ema = ModelEmaV3(network, decay=recipe.ema_decay, use_warmup=True)
        optimizer = create_optimizer_v2(
            network, "adamw", lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.model, self.optimizer = self.accelerator.prepare(network, optimizer)
        # 29,000 crops are 66 MB: the whole set lives on the device, in bytes.
        self.grey = torch.from_numpy(train.grey).to(device)
        self.label = torch.from_numpy(train.label).to(device)
        self.target, self.weight = (t.to(device) for t in soft_targets(train))
        self.valid_grey = torch.from_numpy(valid.grey).to(device)
        self.valid_label = torch.from_numpy(valid.label).to(device)
        self.valid_majority = torch.from_numpy(
            np.full(len(valid), -1) if valid.votes is None else ferplus8_label(valid.votes)
        ).to(device)
        self.steps_per_epoch = max(1, len(train) // recipe.batch_size)
        self.generator = torch.Generator(device=device)
        # Of the epoch so far; kept in checkpoints, so that an interrupted epoch logs its loss.
        self.loss_sum, self.loss_steps = torch.zeros((), device=device), 0

    @property
    def total_steps(self) -> int:
        """Optimizer steps from the first to the last."""
        return self.recipe.epochs * self.steps_per_epoch

    @property
    def network(self) -> nn.Module:
        """The network itself, without the wrapper for several processes."""
        return self.accelerator.unwrap_model(self.model)

    def train_step(self) -> None:
        """One optimizer step on this process's share of the batch."""
        recipe, world = self.recipe, self.accelerator.num_processes
        epoch, index = divmod(self.step, self.steps_per_epoch)
        order = torch.randperm(
            len(self.grey), generator=torch.Generator().manual_seed(recipe.seed * 10_007 + epoch)
        )
        rows = order[index * recipe.batch_size : (index + 1) * recipe.batch_size]
        rows = rows[self.accelerator.process_index :: world].to(self.grey.device)
        seed = (recipe.seed << 40) + (self.step << 8) + self.accelerator.process_index
        self.generator.manual_seed(seed)
        torch.manual_seed(seed)  # dropout
        x = augment(self.grey[rows], recipe.train_size(epoch), recipe, self.generator)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.steps_per_epoch, recipe)
        logits = self.model(x.contiguous(memory_format=torch.channels_last))
        loss = two_head_loss(
            logits.float(), self.label[rows], self.target[rows], self.weight[rows], recipe
        )
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        self.optimizer.step()
        self.ema.update(self.network, step=self.step)
        self.step += 1
        self.loss_sum += loss.detach()
        self.loss_steps += 1

    def mean_loss(self) -> float:
        """Mean loss of the epoch so far, over all processes."""
        return float(self.accelerator.reduce(self.loss_sum, "mean")) / max(1, self.loss_steps)

    def any_process(self, flag: bool) -> bool:
        """Whether the flag is set in any of the processes, which all get the same answer."""
        flags = torch.tensor(float(flag), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flags, "sum") > 0)

    def validate(self) -> dict[str, float]:
        """Accuracy of the averaged weights on the selection split, percent, no TTA."""
        with self.accelerator.autocast():
            logits = predict_logits(self.ema.module, self.valid_grey, self.recipe.input_size)
        fer2013 = logits[:, FER2013_HEAD].argmax(1) == self.valid_label
        clear = self.valid_majority >= 0
        ferplus = logits[:, FERPLUS_HEAD].argmax(1)[clear] == self.valid_majority[clear]
        return {
            "fer2013": round(100 * fer2013.float().mean().item(), 2),
            "ferplus8": round(100 * ferplus.float().mean().item(), 2) if clear.any() else math.nan,
        }

    def state(self) -> dict[str, Any]:
        """Everything a later process needs to continue."""
        return {
            "recipe": as_dict(self.recipe),
            "step": self.step,
            "model": self.network.state_dict(),
            "ema": self.ema.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": self.history,
            "loss_sum": self.loss_sum,
            "loss_steps": self.loss_steps,
        }

    def save(self, name: str = "last.pt") -> None:
        """Write a checkpoint whole or not at all: the one before survives a full disk.

        Raises:
            TrainingStopped: the checkpoint could not be written.
        """
        if not self.accelerator.is_main_process:
            return
        part = self.out / (name + ".part")
        try:
            torch.save(self.state(), part)
            part.replace(self.out / name)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            part.unlink(missing_ok=True)
            raise TrainingStopped(
                f"The checkpoint {self.out / name} could not be written ({error}). "
                "The one before it is intact: free some space and use --resume."
            ) from None

    def load(self, path: Path) -> None:
        """Continue from a checkpoint that `save` wrote."""
        state = torch.load(path, map_location=self.accelerator.device, weights_only=True)
        self.network.load_state_dict(state["model"])
        self.ema.module.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.history = state["step"], state["history"]
        if "loss_sum" in state:  # not in the first checkpoints that were made
            self.loss_sum, self.loss_steps = state["loss_sum"], state["loss_steps"]

    def write_log(self) -> None:
        """Write the run's JSON lines and curves anew.

        Raises:
            TrainingStopped: they could not be written; the checkpoint is.
        """
        if not self.accelerator.is_main_process:
            return
        try:
            part = self.out / "log.jsonl.part"
            part.write_text("".join(json.dumps(entry) + "\n" for entry in self.history))
            part.replace(self.out / "log.jsonl")
            draw_curves(self.history, self.out / "curves.png")
        except OSError as error:
            raise TrainingStopped(
                f"The log in {self.out} could not be written ({error}). The last checkpoint is "
                "intact: free some space and use --resume."
            ) from None


def fit(run: Run, stop: Stop) -> None:
    """Train to the end of the schedule, a checkpoint and a line in the log each epoch.

    Raises:
        TrainingStopped: the loss is not a number, a checkpoint could not be written, or `stop`
            was asked for; the last good checkpoint is intact and resumable.
    """
    recipe, began, first = run.recipe, time.monotonic(), run.step
    alone = run.accelerator.num_processes == 1
    minutes_before = run.history[-1]["minutes"] if run.history else 0.0
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
                raise TrainingStopped(_diverged(run, loss))
            rate = (run.step - first) * recipe.batch_size / (time.monotonic() - began)
            lr = run.optimizer.param_groups[0]["lr"]
            bar.set_postfix(loss=f"{loss:.4f}", lr=f"{lr:.1e}", images_s=f"{rate:.0f}")
        if index == 0:
            line = {
                "epoch": epoch,
                "loss": round(loss, 5),
                "learning_rate": lr,
                **run.validate(),
                "size": recipe.train_size(epoch - 1),
                "images_s": round(rate),
                "processes": run.accelerator.num_processes,
                "minutes": round(minutes_before + (time.monotonic() - began) / 60, 2),
            }
            run.history.append(line)
            run.loss_sum, run.loss_steps = torch.zeros_like(run.loss_sum), 0
            run.save()
            if epoch == recipe.epochs - recipe.decay_epochs:
                run.save("before_decay.pt")
            run.write_log()
            if run.accelerator.is_main_process:
                tqdm.write(json.dumps(line))
        if stops:
            run.save()
            raise TrainingStopped(
                f"Stopped at step {run.step} of {run.total_steps}, saved in {run.out}. "
                "Give the same command with --resume to continue."
            )


def _diverged(run: Run, loss: float) -> str:
    sentence = f"The loss became {loss} near step {run.step}. "
    if (run.out / "last.pt").is_file():
        return sentence + (
            f"The last good checkpoint, {run.out / 'last.pt'}, is intact: give the same command "
            "with --resume and a lower --learning-rate."
        )
    return sentence + "There is no checkpoint yet: start again with a lower --learning-rate."


def resume_point(run: Run) -> Path:
    """The checkpoint to continue from: the last, or for a longer schedule the one before decay.

    Raises:
        TrainingStopped: there is none, or the recipe differs in more than its length.
    """
    path = run.out / "last.pt"
    if not path.is_file():
        raise TrainingStopped(f"{run.out} holds no checkpoint to resume from.")
    old = torch.load(path, map_location="cpu", weights_only=True)
    recipe = Recipe(**old["recipe"])
    free = {name: getattr(run.recipe, name) for name in MAY_CHANGE}
    if replace(recipe, **free) != run.recipe:
        raise TrainingStopped(
            f"{path} was made with other settings. Resume with the same recipe and overrides "
            f"(only {', '.join(MAY_CHANGE)} may change), or choose another --out."
        )
    decay_begins = (recipe.epochs - recipe.decay_epochs) * run.steps_per_epoch
    if run.recipe.epochs > recipe.epochs and old["step"] > decay_begins:
        path = run.out / "before_decay.pt"
        if not path.is_file():
            raise TrainingStopped(
                f"{run.out} cannot be made longer: it kept no checkpoint from before its learning "
                "rate fell."
            )
    return path


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    add_override_arguments(parser)
    given = parser.parse_args(arguments)
    stop = Stop()
    try:
        recipe = load_recipe(given.recipe, overrides_from(given))
        train, valid = read_split(given.data, "train"), read_split(given.data, "public_test")
        given.out.mkdir(parents=True, exist_ok=True)
        run = Run(recipe, train, valid, given.out, resumes=given.resume)
        for caution in filter(None, (train.caution, valid.caution)):
            if run.accelerator.is_main_process:
                print(caution, file=sys.stderr)
        if given.resume:
            run.load(resume_point(run))
        elif (given.out / "last.pt").exists():
            raise TrainingStopped(
                f"{given.out} holds a run already: add --resume to continue it, or choose another "
                "--out."
            )
        fit(run, stop)
    except (RecipeError, DataError, TrainingStopped, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
