from __future__ import annotations

import pytest
import timm.optim.muon
import torch
from timm.optim import create_optimizer_v2
from torch import nn

from training.muon import orthogonalise_in_float32


def step(seed: int = 0) -> torch.Tensor:
    """What one step of Muon makes of a matrix."""
    torch.manual_seed(seed)
    layer = nn.Linear(24, 16, bias=False)
    optimizer = create_optimizer_v2(layer, "nmuon", lr=0.1, weight_decay=0)
    # Many pictures: along directions that no picture has, bfloat16 would blow up its rounding.
    before = layer.weight.detach().clone()
    layer(torch.randn(200, 24)).square().sum().backward()
    optimizer.step()
    return layer.weight.detach() - before


def test_float32_makes_nearly_the_same_step(monkeypatch: pytest.MonkeyPatch) -> None:
    library = timm.optim.muon.zeropower_via_newtonschulz
    while hasattr(library, "func"):  # a run in this process may have changed it already
        library = library.func
    monkeypatch.setattr(timm.optim.muon, "zeropower_via_newtonschulz", library)
    coarse = step()
    orthogonalise_in_float32()
    orthogonalise_in_float32()  # twice is once
    fine = step()
    assert timm.optim.muon.zeropower_via_newtonschulz.func is library
    torch.testing.assert_close(fine, coarse, rtol=0, atol=0.03 * float(coarse.abs().max()))
    assert not torch.equal(fine, coarse)
