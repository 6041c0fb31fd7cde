"""One training run: its data, network, optimizer and place in the schedule."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, cast

import numpy as np
import timm
import torch
from accelerate import Accelerator
from timm.optim import create_optimizer_v2, list_optimizers
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from fer_demo.types import FER2013_HEAD, FERPLUS_HEAD
from training.augment import augment
from training.curves import draw_curves
from training.data import fingerprint
from training.depthwise import use_float32_gradients
from training.distill import Targets
from training.folder import named_weights, read_config, trainable_state
from training.formats import LabelledFaces
from training.muon import orthogonalise_in_float32
from training.objective import (
    bf16_in_hardware,
    class_frequency,
    create_network,
    distillation_loss,
    learning_rate,
    soft_targets,
    two_head_loss,
)
from training.predict import predict_logits
from training.recipe import Recipe, RecipeError, as_dict
from training.record import code_version, write_whole
from training.stop import TrainingStopped
from training.votes import ferplus8_label


def read_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """What `Run.save` wrote.

    Raises:
        TrainingStopped: the file is damaged, or is no checkpoint.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        recipe_of(state)
    except (RuntimeError, EOFError, pickle.UnpicklingError, LookupError, TypeError) as error:
        raise TrainingStopped(
            f"{path} is not a checkpoint of a run, or is damaged ({type(error).__name__}): only "
            "another run can replace it."
        ) from None
    return state


def recipe_of(state: dict[str, Any]) -> Recipe:
    """The settings that a checkpoint's run was made with."""
    return Recipe(**state["recipe"])


def check_inputs(recipe: Recipe, *, targeted: bool, begun: bool) -> None:
    """What a recipe needs beside its data, which can be told before anything is trained.

    Args:
        targeted: there are teachers' targets.
        begun: there are first weights, or a checkpoint.

    Raises:
        RecipeError: the targets or the weights are missing, or timm lacks what the recipe names.
    """
    if recipe.teacher_weight > 0 and not targeted:
        raise RecipeError(
            "This recipe has teachers: make their targets with python -m training.distill and "
            "give --targets FILE."
        )
    if recipe.init == "weights" and not begun:
        raise RecipeError("This recipe goes on from a weights folder: give --weights DIR.")
    if recipe.optimizer not in list_optimizers():
        raise RecipeError(f'timm has no optimizer "{recipe.optimizer}".')
    if not timm.is_model(recipe.architecture):
        raise RecipeError(f'timm has no architecture "{recipe.architecture}".')


class Run:
    """One training run: its data, network, optimizer and place in the schedule."""

    def __init__(
        self,
        recipe: Recipe,
        train: LabelledFaces,
        valid: LabelledFaces,
        out: Path,
        *,
        targets: Targets | None = None,
        weights: Path | None = None,
        resumes: bool = False,
    ):
        check_inputs(recipe, targeted=targets is not None, begun=resumes or weights is not None)
        native = bf16_in_hardware()
        bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and native)
        self.made_by = f"{code_version() or 'unknown code'} in {'bf16' if bf16 else 'fp32'}"
        """The commits and precisions that the run was trained by, one after another."""
        self.accelerator = Accelerator(mixed_precision="bf16" if bf16 else "no")
        self.recipe, self.out, self.step = recipe, out, 0
        self.history: list[dict[str, float | None]] = []
        self.changed: list[str] = []
        """Learning rates that were others up to some step: the recipe tells how the run ended."""
        self.seconds = 0.0
        """Of training and validation, those of epochs that were broken off too."""
        self.data = fingerprint(train.grey, train.label, train.votes)
        """A run goes on only with the data that it began on."""
        device = self.accelerator.device
        torch.manual_seed(recipe.seed)
        pretrained = recipe.init == "imagenet" and not resumes
        network = create_network(recipe, pretrained=pretrained).to(device)
        network = network.to(memory_format=torch.channels_last)
        # What the weights were before this run: their card would tell of its last part alone.
        self.began_from, self.epochs_before = "", 0
        self.teachers_before: list[str] = []
        if recipe.init == "weights" and weights is not None:
            before = read_config(weights)["fer_demo"].get("recipe", {})
            self.epochs_before = before.get("epochs_done", 0)
            self.teachers_before = before.get("teachers", [])
            self.began_from = named_weights(weights)
        if recipe.init == "weights" and weights is not None and not resumes:
            network.load_state_dict(trainable_state(weights, recipe.architecture))
        if bf16 and device.type == "cpu":
            use_float32_gradients(network)
        if device.type == "cpu" and not native:
            orthogonalise_in_float32()
        self.ema = ModelEmaV3(network, decay=recipe.ema_decay, use_warmup=True)
        optimizer = create_optimizer_v2(
            network, recipe.optimizer, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.model, self.optimizer = self.accelerator.prepare(network, optimizer)
        # 29,000 crops are 66 MB: the whole set lives on the device, in bytes.
        self.grey = torch.from_numpy(train.grey).to(device)
        self.label = torch.from_numpy(train.label).to(device)
        self.target, self.weight = (t.to(device) for t in soft_targets(train))
        self.frequency = class_frequency(self.label, self.target, self.weight)
        self.teacher = None if targets is None else torch.from_numpy(targets.logits).to(device)
        self.teachers = () if targets is None else targets.teachers
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
    def learns_ferplus(self) -> bool:
        """Whether votes or teachers teach FER+'s head: the app shows no other."""
        voted = self.recipe.ferplus_weight > 0 and bool((self.weight > 0).any())
        return voted or self.recipe.teacher_weight > 0

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
        label, target, weight = self.label[rows], self.target[rows], self.weight[rows]
        loss = two_head_loss(logits.float(), label, target, weight, recipe, self.frequency)
        if recipe.teacher_weight > 0:
            teacher = cast("Tensor", self.teacher)[rows]
            taught = distillation_loss(logits.float(), teacher, recipe.teacher_temperature)
            loss = (1 - recipe.teacher_weight) * loss + recipe.teacher_weight * taught
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

    def is_finite(self) -> bool:
        """Whether the weights, and their average, are still numbers."""
        both = (self.network, self.ema.module)
        return all(bool(t.isfinite().all()) for one in both for t in one.state_dict().values())

    def validate(self) -> dict[str, float | None]:
        """Accuracy of the averaged weights on the selection split, percent, no TTA; None where it
        has no votes."""
        with self.accelerator.autocast():
            logits = predict_logits(self.ema.module, self.valid_grey, self.recipe.input_size)
        fer2013 = logits[:, FER2013_HEAD].argmax(1) == self.valid_label
        clear = self.valid_majority >= 0
        ferplus = logits[:, FERPLUS_HEAD].argmax(1)[clear] == self.valid_majority[clear]
        return {
            "fer2013": round(100 * fer2013.float().mean().item(), 2),
            "ferplus8": round(100 * ferplus.float().mean().item(), 2) if clear.any() else None,
        }

    def state(self) -> dict[str, Any]:
        """Everything a later process needs to continue."""
        return {
            "recipe": as_dict(self.recipe),
            "learns_ferplus": self.learns_ferplus,
            "made_by": self.made_by,
            "changed": self.changed,
            "teachers": list(self.teachers),
            "began_from": self.began_from,
            "epochs_before": self.epochs_before,
            "teachers_before": self.teachers_before,
            "data": self.data,
            "step": self.step,
            "seconds": self.seconds,
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
                f"The checkpoint {self.out / name} could not be written ({error}).",
                "The one before it is intact: free some space and use --resume.",
            ) from None

    def load(self, path: Path) -> None:
        """Continue from a checkpoint that `save` wrote.

        Raises:
            TrainingStopped: it cannot be read, or has other data, other teachers or other first
                weights than this run was given.
        """
        state = read_checkpoint(path, self.accelerator.device)
        had, began_from = tuple(state.get("teachers", ())), state.get("began_from", "")
        if state.get("data", self.data) != self.data:  # not in the first checkpoints
            raise TrainingStopped(
                f"The run in {self.out} was trained on other images, labels or votes than these: "
                "its --data has changed."
            )
        if had and had != self.teachers:
            raise TrainingStopped("These targets are of other teachers than the run's.")
        if self.began_from and self.began_from != began_from:
            raise TrainingStopped(f"The run began with {began_from}, not with {self.began_from}.")
        self.network.load_state_dict(state["model"])
        self.ema.module.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.history = state["step"], state["history"]
        self.began_from = began_from
        made_by = state.get("made_by", "unknown code")
        if self.step >= self.total_steps:
            self.made_by = made_by
        elif not made_by.endswith(self.made_by):
            self.made_by = f"{made_by}, then {self.made_by}"
        self.changed = state.get("changed", [])
        rate = recipe_of(state).learning_rate
        if rate != self.recipe.learning_rate and 0 < self.step < self.total_steps:
            self.changed = [*self.changed, f"learning_rate {rate} up to step {self.step}"]
        last = self.history[-1]["minutes"] if self.history else 0
        self.seconds = state.get("seconds", 60 * (last or 0))
        if "epochs_before" in state:  # not in the first checkpoints that were made
            self.epochs_before = state["epochs_before"]
            self.teachers_before = state["teachers_before"]
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
            lines = "".join(json.dumps(entry) + "\n" for entry in self.history)
            write_whole(self.out / "log.jsonl", lines.encode())
            draw_curves(self.history, self.out / "curves.png")
        except OSError as error:
            raise TrainingStopped(
                f"The log in {self.out} could not be written ({error}).",
                "The last checkpoint is intact: free some space and use --resume.",
            ) from None
