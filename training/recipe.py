"""A recipe: every setting that mattered to a published weight, and nothing else."""

from __future__ import annotations

import argparse
import dataclasses
import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fer_demo.errors import FerDemoError


class RecipeError(FerDemoError):
    """A recipe that cannot be used; the message is a sentence for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of one training run. Epochs count passes over the training split."""

    architecture: str
    """A timm model name that ends in global pooling and one linear layer."""
    init: str = "scratch"
    """"scratch"; "imagenet" for timm's pretrained weights (needs the Hub); or "weights" to go on
    from a weights folder, which `train --weights` names."""
    input_size: int = 96
    """Side of the square the network sees at evaluation, px."""
    channels: int = 1
    """Of the network's input. What ships has one; more repeat the grey values."""
    pooling: str = "avg"
    """Global pooling; what ships has "avg", on which the evidence maps rest."""
    output_stride: int = 16
    """16 keeps the last feature map at input_size / 16; 32 is the network's own."""
    head_scale: float = 1.0
    """Times the last layer's first weights. timm's for EfficientNet are wide with few classes: 0
    starts from even odds, and saves the epoch that unlearning them takes."""
    progressive: tuple[tuple[int, int], ...] = ()
    """(epoch, size) pairs: from that epoch on train at that size; input_size before and without."""
    epochs: int = 30
    decay_epochs: int = 8
    """The learning rate is constant after the warm-up and falls to zero over these last epochs."""
    warmup_epochs: float = 1.0
    batch_size: int = 128
    """Images a step, over all processes."""
    optimizer: str = "adamw"
    """A name that `timm.optim.list_optimizers` knows."""
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    ema_decay: float = 0.999
    drop_rate: float = 0.2
    label_smoothing: float = 0.1
    """On the FER2013 labels only: the FER+ votes are soft already."""
    ferplus_weight: float = 1.0
    """Loss = CE(FER2013 label) + ferplus_weight * CE(FER+ vote distribution)."""
    class_weighting: str = "none"
    """"none", or "sqrt": both losses weigh a class by one over the root of its frequency."""
    logit_adjustment: float = 0.0
    """Times the log frequency of a class, added to its logit in training (Menon et al. 2021)."""
    teacher_weight: float = 0.0
    """Share of the loss that follows teachers (`training.distill`) instead of labels."""
    teacher_temperature: float = 2.0
    precision: str = "auto"
    """"fp32", "bf16", or "auto": bf16 where the processor has it in hardware."""
    seed: int = 0
    flip: float = 0.5
    """Share of images that are mirrored."""
    rotation: float = 15.0
    """Degrees to either side."""
    shift: float = 0.10
    """Of the crop's side."""
    scale: float = 0.15
    """Log-symmetric zoom: 1 - scale to 1 / (1 - scale)."""
    contrast: float = 0.3
    """Range of contrast, gamma and brightness changes."""
    erase: float = 0.5
    """Share of images in which one rectangle is replaced by noise."""
    cover: float = 0.0
    """Share of images with a mask over nose and mouth or dark glasses, roughly drawn."""
    degrade: float = 0.2
    """Share of images that are blurred, sampled down and up, or given sensor noise."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise RecipeError(f"{field.name} is a finite number, not {value}.")
        for names, holds, words in _BOUNDS:
            for name in names:
                if not holds(getattr(self, name)):
                    raise RecipeError(f"{name} is {words}, not {getattr(self, name)}.")
        if self.init not in ("scratch", "imagenet", "weights"):
            raise RecipeError(f'init is "scratch", "imagenet" or "weights", not "{self.init}".')
        if self.precision not in ("auto", "fp32", "bf16"):
            raise RecipeError(f'precision is "auto", "fp32" or "bf16", not "{self.precision}".')
        if self.class_weighting not in ("none", "sqrt"):
            raise RecipeError(f'class_weighting is "none" or "sqrt", not "{self.class_weighting}".')
        if self.pooling not in ("avg", "max"):
            raise RecipeError(f'pooling is "avg" or "max", not "{self.pooling}".')
        if self.output_stride not in (8, 16, 32):
            raise RecipeError(f"output_stride is 8, 16 or 32, not {self.output_stride}.")
        if self.decay_epochs > self.epochs:
            raise RecipeError("decay_epochs must not exceed epochs.")
        starts = [epoch for epoch, _ in self.progressive]
        if starts != sorted(starts) or any(e < 0 or size < 1 for e, size in self.progressive):
            raise RecipeError("progressive must list (epoch, size) pairs in the order of epochs.")
        if starts and starts[-1] >= self.epochs:
            raise RecipeError(
                f"progressive changes size at epoch {starts[-1]}, but the run has only "
                f"{self.epochs}: give more --epochs, or --input-size for one size all along."
            )

    def train_size(self, epoch: int) -> int:
        """Side of the training input in this epoch (from 0), px."""
        size = self.input_size
        for start, stage in self.progressive:
            if epoch >= start:
                size = stage
        return size


_BOUNDS: tuple[tuple[tuple[str, ...], Callable[[float], bool], str], ...] = (
    (("epochs", "batch_size", "input_size", "channels"), lambda x: x >= 1, "at least 1"),
    (("learning_rate", "teacher_temperature"), lambda x: x > 0, "above 0"),
    (("seed",), lambda x: 0 <= x < 2**23, "in [0, 2**23)"),
    (("drop_rate", "scale", "ema_decay"), lambda x: 0 <= x < 1, "in [0, 1)"),
    (
        ("teacher_weight", "label_smoothing", "flip", "erase", "cover", "degrade"),
        lambda x: 0 <= x <= 1,
        "in [0, 1]",
    ),
    (
        (
            "decay_epochs",
            "warmup_epochs",
            "weight_decay",
            "head_scale",
            "ferplus_weight",
            "logit_adjustment",
            "rotation",
            "shift",
            "contrast",
        ),
        lambda x: x >= 0,
        "at least 0",
    ),
)
"""Settings, what holds of each, and the words for it. A step's generator is seeded with the seed
times 2**40."""


def load_recipe(path: Path, overrides: dict[str, Any] | None = None) -> Recipe:
    """Read a TOML recipe; `overrides` (None values ignored) win over the file.

    Raises:
        RecipeError: the file is missing, is not TOML, or names an unknown or ill-typed setting.
    """
    try:
        settings = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such recipe.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not valid TOML: {error}.") from None
    settings |= {k: v for k, v in (overrides or {}).items() if v is not None}
    known = {f.name: f for f in fields(Recipe)}
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise RecipeError(f"{path}: unknown setting {', '.join(unknown)}.")
    if "architecture" not in settings:
        raise RecipeError(f"{path} does not name an architecture.")
    return Recipe(
        **{name: _typed(name, value, known[name].type) for name, value in settings.items()}
    )


def add_override_arguments(parser: argparse.ArgumentParser) -> None:
    """One option a scalar setting: `--learning-rate 1e-3` overrides `learning_rate`."""
    group = parser.add_argument_group("settings", "override the recipe's")
    casts = {"int": int, "float": float, "str": str}
    for field in fields(Recipe):
        if str(field.type) in casts:
            group.add_argument(
                "--" + field.name.replace("_", "-"),
                type=casts[str(field.type)],
                metavar=str(field.type),
            )


def overrides_from(arguments: argparse.Namespace) -> dict[str, Any]:
    """The recipe settings that were given on the command line."""
    names = {field.name for field in fields(Recipe)}
    given = {k: v for k, v in vars(arguments).items() if k in names and v is not None}
    # A size asked for on the command line is meant for the whole run.
    if "input_size" in given:
        given["progressive"] = ()
    return given


def as_dict(recipe: Recipe) -> dict[str, Any]:
    """For checkpoints, logs and model cards."""
    return dataclasses.asdict(recipe)


def _typed(name: str, value: Any, annotation: Any) -> Any:
    if name == "progressive":
        try:
            return tuple((int(epoch), int(size)) for epoch, size in value)
        except (TypeError, ValueError):
            raise RecipeError(
                f"progressive must list (epoch, size) pairs, as [[0, 64], [6, 96]], not {value!r}."
            ) from None
    kinds: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,)}
    if not isinstance(value, kinds[str(annotation)]) or isinstance(value, bool):
        raise RecipeError(f"{name} must be {annotation}, not {value!r}.")
    return float(str(value)) if str(annotation) == "float" else value
