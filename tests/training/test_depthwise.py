"""Gradients of depthwise convolutions in float32."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from torch import nn

from training.depthwise import use_float32_gradients


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "dilation"),
    [(9, 3, 1, 1), (10, 5, 2, 1), (6, 5, 1, 2), (7, 5, 1, 2), (6, 3, 1, 2), (9, 3, 2, 2)],
)
def test_gradients_are_those_of_pytorch(side: int, kernel: int, stride: int, dilation: int) -> None:
    torch.manual_seed(0)
    padding = dilation * (kernel // 2)
    usual = nn.Conv2d(
        8, 8, kernel, stride=stride, padding=padding, dilation=dilation, groups=8, bias=False
    )
    ours = copy.deepcopy(usual)
    use_float32_gradients(ours)
    x = torch.randn(3, 8, side, side)
    found = []
    for convolution in (usual, ours):
        x = x.clone().requires_grad_()
        y = convolution(x)
        upstream = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
        found.append((y, *torch.autograd.grad(y, (x, convolution.weight), upstream)))
    for theirs, own in zip(*found, strict=True):
        torch.testing.assert_close(own, theirs, rtol=1e-5, atol=1e-5)
    assert type(ours) is not type(usual)


def test_gradients_under_bfloat16_are_nearer_to_the_exact_ones() -> None:
    torch.manual_seed(0)
    usual = nn.Conv2d(64, 64, 5, padding=2, groups=64, bias=False)
    ours = copy.deepcopy(usual)
    use_float32_gradients(ours)
    x = torch.randn(16, 64, 12, 12).bfloat16()
    upstream = torch.randn(16, 64, 12, 12).bfloat16()
    exact = torch.autograd.grad(usual(x.float()), usual.weight, upstream.float())[0]
    errors = []
    for convolution in (usual, ours):
        with torch.autocast("cpu", torch.bfloat16):
            y = convolution(x)
        gradient = torch.autograd.grad(y, convolution.weight, upstream)[0]
        errors.append((gradient - exact).abs().mean())
    assert errors[1] < errors[0]


def test_an_efficientnet_keeps_its_outputs_and_its_state() -> None:
    torch.manual_seed(0)
    network = timm.create_model("efficientnet_b0", in_chans=1, output_stride=16).eval()
    x = torch.randn(2, 1, 64, 64)
    with torch.inference_mode():
        before, names = network(x), list(network.state_dict())
        use_float32_gradients(network)
        assert torch.equal(network(x), before)
    assert list(network.state_dict()) == names
