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
from fer_demo.types import GREY_SIDE
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
    u = _uniform(3, k, 1, 1, 1, generator=generator)
    noise = torch.randn(x[:k].shape, generator=generator, device=x.device)
    return torch.cat(
        [
            _gaussian_blur(x[:k], sigma=(0.5 + 1.5 * u[0].flatten()) * x.shape[-1] / 48),
            _low_resolution(x[k : 2 * k], LOWEST + (GREY_SIDE - LOWEST) * u[2].flatten()),
            x[2 * k : 3 * k] + (0.05 + 0.25 * u[1]) * noise,
            x[3 * k :],
        ]
    )


LOWEST = 10
"""Side that a face is brought down to at most, px of 48."""


def _low_resolution(x: Tensor, side: Tensor) -> Tensor:
    """Bring each image of (B, 1, H, W) down to its own side (B,), px of 48, and up to 48 again:
    every other one as the app enlarges small faces, the others bilinearly, as others do.

    A network that knows a few sides only knows the traces of these: between them it fails.
    """
    pixel = x.shape[-1] / side
    small = _separable(x, _box(pixel, math.ceil(x.shape[-1] / LOWEST / 2)))
    # The first side x side pixels are the small picture, the others repeat its last.
    at = torch.arange(GREY_SIDE, device=x.device, dtype=x.dtype) + 0.5
    small = _sampled(small, (at / side[:, None]).clamp(max=1 - 0.5 / side[:, None]), "bilinear")
    up = at[None] / GREY_SIDE * side[:, None] / GREY_SIDE
    large = torch.empty_like(small)
    large[::2] = _sampled(small[::2], up[::2], "bicubic")
    large[1::2] = _sampled(small[1::2], up[1::2], "bilinear")
    return F.interpolate(large, size=x.shape[-1], mode="bilinear", align_corners=False)


def _sampled(x: Tensor, at: Tensor, mode: str) -> Tensor:
    """Images (B, 1, H, W) at the same places (B, S) in both directions, in [0, 1]: (B, 1, S, S)."""
    place = 2 * at - 1
    shape = (len(x), at.shape[1], at.shape[1])
    grid = torch.stack([place[:, None].expand(shape), place[:, :, None].expand(shape)], dim=3)
    return F.grid_sample(x, grid, mode=mode, padding_mode="border", align_corners=False)


def _box(width: Tensor, radius: int) -> Tensor:
    """(B, 2 * radius + 1) kernels that average over `width` (B,) pixels."""
    t = torch.arange(-radius, radius + 1, device=width.device, dtype=width.dtype)
    return (width[:, None] / 2 + 0.5 - t.abs()).clamp(0, 1) / width[:, None]


def _gaussian_blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image of (B, 1, H, W) by its own sigma (B,), px."""
    radius = math.ceil(4 * x.shape[-1] / 48)  # two of the largest sigmas
    t = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-(t**2) / (2 * sigma[:, None] ** 2))
    return _separable(x, kernel / kernel.sum(1, keepdim=True))


def _separable(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolve each image of (B, 1, H, W) with its own kernel (B, K) along rows and columns."""
    kernel, count = kernel.view(len(x), 1, 1, -1), len(x)
    x = F.pad(x.transpose(0, 1), (kernel.shape[-1] // 2,) * 4, mode="replicate")  # as channels
    x = F.conv2d(F.conv2d(x, kernel, groups=count), kernel.transpose(2, 3), groups=count)
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
