"""init = "imagenet" through the real Hub client, against a Hub on loopback with tiny weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save

from tests.hub_server import HubServer, use
from tests.training.conftest import checkpoint, run_training

REPO = "timm/test_convnext.r160_in1k"


STILL = ("--init", "imagenet", "--epochs", "1", "--learning-rate", "1e-12", "--weight-decay", "0")
"""A run that does not move its weights."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub that this process sees, and an empty cache."""
    with HubServer() as server:
        use(server, tmp_path / "home", monkeypatch)
        yield server


def test_pretrained_weights_are_fetched_and_used(
    hub: HubServer, recipe_file: Path, tiny_data: Path, tmp_path: Path
) -> None:
    theirs = timm.create_model("test_convnext")  # three colours, a thousand classes
    weights = theirs.state_dict()
    hub.commit(REPO, {"model.safetensors": save(weights, metadata={"format": "pt"})})
    assert run_training(recipe_file, tiny_data, tmp_path / "run", *STILL) == 0
    assert hub.count("GET", "/store/") == 1
    ours = checkpoint(tmp_path / "run")["model"]
    for name, tensor in weights.items():
        if name.startswith("stem.0.weight"):
            tensor = tensor.sum(1, keepdim=True)  # one grey channel takes the colours' sum
        if not name.startswith("head.fc"):
            torch.testing.assert_close(ours[name], tensor, rtol=0, atol=1e-5)
    assert ours["head.fc.weight"].shape == (15, theirs.num_features)


def test_weights_that_cannot_be_had_are_a_sentence(
    hub: HubServer,
    recipe_file: Path,
    tiny_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_training(recipe_file, tiny_data, tmp_path / "run", *STILL) == 1
    told = capsys.readouterr().err
    assert "The pretrained weights of test_convnext could not be fetched from the Hub" in told
    assert "use --init scratch" in told
