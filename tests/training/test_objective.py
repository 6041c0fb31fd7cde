from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.training.conftest import tiny_faces
from training.formats import LabelledFaces
from training.objective import (
    bf16_in_hardware,
    class_frequency,
    create_network,
    learning_rate,
    soft_targets,
    two_head_loss,
)
from training.recipe import Recipe, RecipeError

RECIPE = Recipe("resnet18", epochs=10, decay_epochs=4, warmup_epochs=2, learning_rate=0.5)


def test_learning_rate_warms_up_stays_and_falls_to_zero() -> None:
    rates = [learning_rate(step, 5, RECIPE) for step in range(50)]
    np.testing.assert_allclose(rates[:10], 0.5 * np.arange(1, 11) / 10)
    assert set(rates[10:31]) == {0.5}
    assert rates[31:] == sorted(rates[31:], reverse=True)
    # A quarter of the fall's length takes half of the rate: 1 - sqrt(1/4).
    assert rates[35] == pytest.approx(0.25)
    assert 0 < rates[-1] < 0.02


def test_learning_rate_without_a_fall() -> None:
    flat = Recipe("resnet18", epochs=3, decay_epochs=0, warmup_epochs=0, learning_rate=0.5)
    assert {learning_rate(step, 5, flat) for step in range(15)} == {0.5}


def test_a_head_scaled_to_zero_says_the_same_of_every_picture() -> None:
    network = create_network(Recipe("test_convnext", head_scale=0.0)).eval()
    with torch.inference_mode():
        logits = network(torch.randn(3, 1, 32, 32))
    torch.testing.assert_close(logits, network.get_classifier().bias.expand(3, 15))


@pytest.mark.parametrize("architecture", ["mobilenetv3_small_050", "test_vit"])
def test_a_network_without_that_stride_is_refused_with_a_sentence(architecture: str) -> None:
    with pytest.raises(RecipeError, match=f"timm cannot make {architecture} with output_stride"):
        create_network(Recipe(architecture, output_stride=16))


def test_a_masked_row_does_not_move_the_second_head() -> None:
    logits = torch.randn(4, 15, generator=torch.manual_seed(0), requires_grad=True)
    weight = torch.tensor([1.0, 0.0, 0.5, 1.0])
    target = torch.softmax(torch.randn(4, 8, generator=torch.manual_seed(1)), 1)
    label = torch.tensor([0, 1, 2, 3])
    two_head_loss(logits, label, target, weight, RECIPE).backward()
    assert logits.grad is not None
    assert logits.grad[1, 7:].abs().sum() == 0
    assert (logits.grad[[0, 2, 3], 7:].abs().sum(1) > 0).all()
    assert (logits.grad[:, :7].abs().sum(1) > 0).all()


def test_the_loss_is_the_sum_of_its_parts() -> None:
    recipe = Recipe("resnet18", ferplus_weight=2.0, label_smoothing=0.0)
    logits = torch.randn(3, 15, generator=torch.manual_seed(0))
    target = torch.eye(8)[[1, 2, 3]]
    label, weight = torch.tensor([4, 5, 6]), torch.ones(3)
    wanted = F.cross_entropy(logits[:, :7], label)
    wanted += 2 * F.cross_entropy(logits[:, 7:], torch.tensor([1, 2, 3]))
    assert two_head_loss(logits, label, target, weight, recipe) == pytest.approx(float(wanted))


def test_targets_of_a_set_without_votes_are_masked() -> None:
    faces = tiny_faces(5)
    assert soft_targets(faces)[1].tolist() == [1.0] * 5
    bare = LabelledFaces(faces.grey, faces.label, None)
    target, weight = soft_targets(bare)
    assert target.shape == (5, 8)
    assert weight.tolist() == [0.0] * 5


LABEL = torch.tensor([0, 0, 0, 1])
SOFT = torch.eye(8)[LABEL]
FREQUENCY = class_frequency(LABEL, SOFT, torch.ones(4))


def _loss(logits: torch.Tensor, **settings: float | str) -> torch.Tensor:
    recipe = Recipe("resnet18", label_smoothing=0.0, **settings)  # type: ignore[arg-type]
    return two_head_loss(logits, LABEL, SOFT, torch.ones(4), recipe, FREQUENCY)


def test_frequencies_sum_to_one_in_each_head_and_none_is_zero() -> None:
    assert FREQUENCY[:7].sum() == pytest.approx(1)
    assert FREQUENCY[7:].sum() == pytest.approx(1)
    assert FREQUENCY.min() > 0


def test_logit_adjustment_is_content_with_the_frequencies_where_logits_are_level() -> None:
    # With level logits, tau = 1 leaves the frequencies as the answer, which cost less than level
    # probabilities do.
    level = torch.zeros(4, 15)
    assert _loss(level, logit_adjustment=1.0) < _loss(level)
    wanted = -FREQUENCY.log()
    assert float(_loss(level, logit_adjustment=1.0)) == pytest.approx(
        float((wanted[LABEL] + wanted[7 + LABEL]).mean()), rel=1e-5
    )


def test_square_root_weights_pull_harder_at_the_rare_class() -> None:
    pulls = []
    for weighting in ("none", "sqrt"):
        logits = torch.zeros(4, 15, requires_grad=True)
        _loss(logits, class_weighting=weighting).backward()
        assert logits.grad is not None
        pulls.append(logits.grad[3].abs().sum() / logits.grad[0].abs().sum())
    assert pulls[1] > 1.2 * pulls[0]


def test_bfloat16_is_asked_of_the_device_that_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert bf16_in_hardware()
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert not bf16_in_hardware()
