"""Faces in FER2013's framing, and the one way from a 48 px crop to a network's input.

Used by training and app alike, so that what a network is asked is what it was taught.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

INPUT_MEAN, INPUT_STD = 0.5, 0.5
"""Of our own networks; grey levels in [0, 1] become [-1, 1]."""


def network_input(
    grey: Tensor,
    size: int,
    mean: float = INPUT_MEAN,
    std: float = INPUT_STD,
    warp: Tensor | None = None,
) -> Tensor:
    """Upscale grey crops to a network's input, bilinearly, and normalise them.

    Args:
        grey: (N, 48, 48) uint8.
        size: side of the network's input, px.
        mean, std: of grey levels in [0, 1].
        warp: (N, 2, 3) maps from output to input coordinates, both in [-1, 1], for augmentation;
            None is the identity and gives the same values as an identity map.

    Returns:
        (N, 1, size, size) float32.
    """
    x = (grey.unsqueeze(1).float() / 255 - mean) / std
    if warp is None:
        return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
    grid = F.affine_grid(warp, [len(x), 1, size, size], align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
