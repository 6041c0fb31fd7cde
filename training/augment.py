"""Augmentation of a whole batch at once, on the device that trains.

Geometry and upscaling are one resampling (`fer_demo.crops.network_input`), so an image is
interpolated once. Ranges follow what is known to help on FER2013; blur, low resolution and noise
make a network trained on these crops survive webcams, and covered halves make it doubt where a mask
or dark glasses hide what it judges by.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from fer_demo.crops import network_input
from training.recipe import Recipe


def augment(grey: Tensor, size: int, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Randomly transformed network inputs, normalised like those at inference.

    Args:
        grey: (B, 48, 48) uint8.
        size: side of the output, px.
        generator: on the device of `grey`; the only source of randomness.

    Returns:
        (B, 1, size, size) float32.
    """
    # Pixels are transformed in [-1, 1], the range of the network's input.
    x = network_input(grey, size, warp=random_affine(len(grey), recipe, generator))
    x = _photometric(x, recipe.contrast, generator)
    x = _degrade(x, recipe.degrade, generator)
    x = _cover(x, recipe.cover, generator)
    return _erase(x, recipe.erase, generator)


def random_affine(n: int, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """(n, 2, 3) maps from output to input in the [-1, 1] coordinates of `affine_grid`."""
    u = _uniform(5, n, generator=generator)  # (5, n) in [0, 1)
    angle = (2 * u[0] - 1) * math.radians(recipe.rotation)
    zoom = torch.exp((2 * u[1] - 1) * -math.log(1 - recipe.scale))
    flip = torch.where(u[2] < recipe.flip, -1.0, 1.0)
    shift = (2 * u[3:5] - 1) * 2 * recipe.shift  # the side is 2 in these coordinates
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    return torch.stack(
        [
            torch.stack([cos * flip, -sin, shift[0]], dim=1),
            torch.stack([sin * flip, cos, shift[1]], dim=1),
        ],
        dim=1,
    )


def _photometric(x: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    if strength == 0:
        return x
    u = 2 * _uniform(3, len(x), 1, 1, 1, generator=generator) - 1
    mean = x.mean(dim=(2, 3), keepdim=True)
    x = (x - mean) * torch.exp(u[0] * strength) + mean + u[1] * strength
    unit = ((x + 1) / 2).clamp(1e-4, 1)
    return 2 * unit ** torch.exp(u[2] * strength) - 1


def _degrade(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Blur, low resolution and noise, each for a third of `share` of the batch.

    The batch comes shuffled, so fixed rows are random images, and nothing waits for the device.
    """
    k = min(round(len(x) * share / 3), len(x) // 3)
    if k == 0:
        return x
    u = _uniform(2, k, 1, 1, 1, generator=generator)
    noise = torch.randn(x[:k].shape, generator=generator, device=x.device)
    return torch.cat(
        [
            _gaussian_blur(x[:k], sigma=(0.5 + 1.5 * u[0].flatten()) * x.shape[-1] / 48),
            torch.cat([_low_resolution(x[k + i : 2 * k : 4], s) for i, s in enumerate(LOW_SIDES)]),
            x[2 * k : 3 * k] + (0.05 + 0.25 * u[1]) * noise,
            x[3 * k :],
        ]
    )


LOW_SIDES = (12, 18, 24, 32)
"""Sides that a face is brought down to, px of 48."""


def _low_resolution(x: Tensor, side: int) -> Tensor:
    if len(x) == 0:
        return x
    small = F.interpolate(x, size=side, mode="area")
    return F.interpolate(small, size=x.shape[-1], mode="bilinear", align_corners=False)


def _gaussian_blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image of (B, 1, H, W) by its own sigma (B,), px."""
    radius = math.ceil(4 * x.shape[-1] / 48)  # two of the largest sigmas
    t = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-(t**2) / (2 * sigma[:, None] ** 2))
    kernel = (kernel / kernel.sum(1, keepdim=True)).view(len(x), 1, 1, -1)
    x = F.pad(x.transpose(0, 1), (radius,) * 4, mode="replicate")  # images as channels
    x = F.conv2d(F.conv2d(x, kernel, groups=len(sigma)), kernel.transpose(2, 3), groups=len(sigma))
    return x.transpose(0, 1)


def _cover(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """A mask from the nose down, or dark glasses, of one shaded grey; each on half of the share.

    The labels stay: what is learned is how little the other half of a face tells.
    """
    if share == 0:
        return x
    u = _uniform(9, len(x), 1, 1, generator=generator)
    rows, columns = _places(x)
    across = columns - 0.5
    mask = u[0] < 0.5
    tilt = 0.3 * (u[1] - 0.5) * across
    top = torch.where(mask, 0.44 + 0.16 * u[2] + 0.8 * u[3] * across**2, 0.22 + 0.12 * u[2])
    bottom = torch.where(mask, 0.82 + 0.2 * u[4], 0.44 + 0.12 * u[4])
    inside = (rows > top + tilt) & (rows < bottom + tilt) & (across.abs() < 0.3 + 0.2 * u[5])
    level = torch.where(mask, 2 * u[6] - 1, 0.5 * u[6] - 1)
    grey = (level + 0.4 * (u[8] - 0.5) * across).expand_as(inside)
    return torch.where((inside & (u[7] < share)).unsqueeze(1), grey.unsqueeze(1), x)


def _places(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (1, H, 1) and columns (1, 1, W) of pixel centres, in [0, 1]."""
    h, w = x.shape[2:]
    rows = (torch.arange(h, device=x.device).view(1, h, 1) + 0.5) / h
    return rows, (torch.arange(w, device=x.device).view(1, 1, w) + 0.5) / w


def _erase(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Random erasing (Zhong et al. 2017): one rectangle of 2-25 % of the area becomes noise."""
    if share == 0:
        return x
    u = _uniform(5, len(x), 1, 1, generator=generator)
    area = 0.02 + 0.23 * u[0]
    aspect = torch.exp((2 * u[1] - 1) * math.log(3))
    half_h, half_w = torch.sqrt(area * aspect) / 2, torch.sqrt(area / aspect) / 2
    rows, columns = _places(x)
    inside = ((rows - u[2]).abs() < half_h) & ((columns - u[3]).abs() < half_w) & (u[4] < share)
    noise = 0.5 * torch.randn(x.shape, generator=generator, device=x.device)
    return torch.where(inside.unsqueeze(1), noise, x)


def _uniform(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.rand(*shape, generator=generator, device=generator.device)
