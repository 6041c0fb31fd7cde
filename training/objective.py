"""What is trained, on what loss, at which rate and precision."""

from __future__ import annotations

import math
from typing import Any, cast

import timm
import torch
import torch.nn.functional as F
from accelerate.utils import parse_flag_from_env
from torch import Tensor, nn

import training.baselines  # noqa: F401  (timm then knows them)
from fer_demo.types import FER2013_HEAD, FERPLUS_HEAD, NUM_LOGITS
from training.formats import LabelledFaces
from training.recipe import Recipe, RecipeError
from training.votes import ferplus_target


def create_network(recipe: Recipe, *, pretrained: bool = False) -> nn.Module:
    """The recipe's timm network: two heads in one linear layer, an input of grey values.

    Args:
        recipe: names the architecture; with several channels each gets the same grey values.
        pretrained: fetch timm's pretrained weights from the Hub; the last layer starts anew and
            the first one sums its colours.

    Raises:
        RecipeError: timm cannot make it so, or its weights cannot be fetched.
    """
    if pretrained and not timm.models.is_model_pretrained(recipe.architecture):
        raise RecipeError(f'timm has no pretrained weights of "{recipe.architecture}".')
    try:
        network = timm.create_model(
            recipe.architecture,
            pretrained=pretrained,
            in_chans=recipe.channels,
            num_classes=NUM_LOGITS,
            drop_rate=recipe.drop_rate,
            output_stride=recipe.output_stride,
            global_pool=recipe.pooling,
        )
    except (TypeError, AssertionError, NotImplementedError) as error:
        raise RecipeError(
            f"timm cannot make {recipe.architecture} with output_stride {recipe.output_stride} and "
            f"{recipe.pooling} pooling ({error})."
        ) from None
    except (OSError, RuntimeError) as error:  # the Hub's errors are OSErrors
        if not pretrained:
            raise
        raise RecipeError(
            f"The pretrained weights of {recipe.architecture} could not be fetched from the Hub "
            f"({type(error).__name__}). Check the network and HF_ENDPOINT, or use --init scratch."
        ) from error
    with torch.no_grad():
        cast("Any", network).get_classifier().weight.mul_(recipe.head_scale)
    if recipe.channels > 1:
        network.register_forward_pre_hook(
            lambda _, inputs: (inputs[0].expand(-1, recipe.channels, -1, -1),)
        )
    return network


def learning_rate(step: int, steps_per_epoch: int, recipe: Recipe) -> float:
    """Linear warm-up, constant, then 1 - sqrt to zero (Hägele et al. 2024, arXiv:2405.18392)."""
    warmup = recipe.warmup_epochs * steps_per_epoch
    decay = recipe.decay_epochs * steps_per_epoch
    left = recipe.epochs * steps_per_epoch - step
    factor = min(1.0, (step + 1) / max(1.0, warmup))
    if left < decay:
        factor *= 1 - math.sqrt((decay - left) / decay)
    return recipe.learning_rate * factor


def two_head_loss(
    logits: Tensor,
    label: Tensor,
    target: Tensor,
    weight: Tensor,
    recipe: Recipe,
    frequency: Tensor | None = None,
) -> Tensor:
    """CE of the FER2013 label + ferplus_weight * votes-weighted CE of the FER+ distribution.

    Args:
        logits: (B, 15).
        label: (B,) FER2013 classes.
        target: (B, 8) FER+ distribution.
        weight: (B,) in [0, 1], 0 masks the row.
        recipe: gives the label smoothing, ferplus_weight and what is done about rare classes.
        frequency: (15,) of `class_frequency`, for recipes that do something about rare classes.
    """
    of_class = torch.ones_like(logits[0])
    if frequency is not None:
        if recipe.class_weighting == "sqrt":
            of_class = _mean_one(frequency.rsqrt(), frequency)
        logits = logits + recipe.logit_adjustment * frequency.log()
    hard = F.cross_entropy(
        logits[:, FER2013_HEAD],
        label,
        weight=of_class[FER2013_HEAD],
        label_smoothing=recipe.label_smoothing,
    )
    soft = F.cross_entropy(
        logits[:, FERPLUS_HEAD], target, weight=of_class[FERPLUS_HEAD], reduction="none"
    )
    return hard + recipe.ferplus_weight * (soft * weight).mean()


def class_frequency(label: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """(15,) shares of the classes in the training split, each head summing to 1, none 0."""
    hard = torch.bincount(label, minlength=7).float() + 1
    soft = (target * weight[:, None]).sum(0) + 1
    return torch.cat([hard / hard.sum(), soft / soft.sum()])


def _mean_one(of_class: Tensor, frequency: Tensor) -> Tensor:
    """Scaled so that each head's mean weight over the training split is 1."""
    scaled = of_class.clone()
    for head in (FER2013_HEAD, FERPLUS_HEAD):
        scaled[head] /= (of_class[head] * frequency[head]).sum()
    return scaled


def distillation_loss(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """CE of the softened teacher, both heads, times T^2 to keep the gradient's size.

    Args:
        logits, teacher: (B, 15).
        temperature: T that both are divided by.
    """
    loss = logits.new_zeros(())
    for head in (FER2013_HEAD, FERPLUS_HEAD):
        target = F.softmax(teacher[:, head] / temperature, dim=1)
        loss = loss + F.cross_entropy(logits[:, head] / temperature, target)
    return temperature**2 * loss


def soft_targets(faces: LabelledFaces) -> tuple[Tensor, Tensor]:
    """(N, 8) FER+ targets and (N,) weights; all masked where the votes are unknown."""
    if faces.votes is None:
        return torch.zeros(len(faces), 8), torch.zeros(len(faces))
    target, weight = ferplus_target(faces.votes)
    return torch.from_numpy(target), torch.from_numpy(weight)


def bf16_in_hardware() -> bool:
    """Whether the device that accelerate takes computes in bfloat16 itself, not by emulation."""
    if torch.cuda.is_available() and not parse_flag_from_env("ACCELERATE_USE_CPU"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.backends.mps.is_available() is False and torch.cpu._is_avx512_bf16_supported()
