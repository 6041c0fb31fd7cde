"""Depthwise convolutions whose gradients are computed in float32, for training on a processor.

oneDNN computes some bfloat16 gradients of depthwise convolutions (5x5 kernels, strides) and all
those of dilated ones by its reference code, far slower than what it has for plain ones in float32:
they were most of a step of EfficientNet-B0. The forward pass stays in bfloat16, where it is faster.
The gradients are the same ones, more exact.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def use_float32_gradients(network: nn.Module) -> None:
    """Let the depthwise convolutions of a network compute their gradients in float32.

    Args:
        network: changed in place; its outputs and its state dict stay as they are.
    """
    for module in network.modules():
        depthwise = isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
        # Subclasses pad by themselves, so only the plain class is known to be equal.
        if depthwise and type(module) is nn.Conv2d and module.bias is None:
            module.__class__ = _Depthwise


class _Depthwise(nn.Conv2d):
    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        settings = (self.stride, self.padding, self.dilation, self.groups)
        y: Tensor = _Float32Gradients.apply(input, weight, *settings)
        return y


class _Float32Gradients(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, *settings: Any) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.settings = settings
        return F.conv2d(x, weight, None, *settings)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        x, weight = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.settings
        wide = x.float()
        gradient = gradients[0].to(torch.float32, memory_format=torch.channels_last)
        d = dilation[0]
        # A dilated kernel of stride 1 is a plain one on d * d interleaved pictures.
        plain = d > 1 and dilation == (d, d) and x.shape == gradient.shape
        if plain:
            wide, gradient = _interleaved(wide, d), _interleaved(gradient, d)
            padding, dilation = tuple(p // d for p in padding), (1, 1)
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient,
            wide,
            weight.float(),
            None,
            stride,
            padding,
            dilation,
            False,
            (0, 0),
            groups,
            (True, True, False),
        )
        if plain:
            of_x = _together(of_x, d, x.shape)
        of_x = of_x.to(x.dtype, memory_format=torch.channels_last)
        return of_x, of_weight.to(weight.dtype), None, None, None, None


def _interleaved(x: Tensor, d: int) -> Tensor:
    """(N, C, H, W) as (d * d * N, C, H / d, W / d), sides padded with zeros to multiples of d."""
    height, width = x.shape[2:]
    x = F.pad(x, (0, -width % d, 0, -height % d))
    x = x.unflatten(3, (-1, d)).unflatten(2, (-1, d))  # N, C, H / d, d, W / d, d
    return x.permute(3, 5, 0, 2, 4, 1).flatten(0, 2).permute(0, 3, 1, 2)


def _together(x: Tensor, d: int, shape: torch.Size) -> Tensor:
    """The pictures that `_interleaved` took apart, (N, C, H, W) as in `shape`."""
    x = x.permute(0, 2, 3, 1).unflatten(0, (d, d, -1))  # d, d, N, H / d, W / d, C
    x = x.permute(2, 5, 3, 0, 4, 1).flatten(4, 5).flatten(2, 3)
    return x[:, :, : shape[2], : shape[3]]
