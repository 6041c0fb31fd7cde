"""init = "imagenet" through the real Hub client, against a Hub on loopback with tiny weights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import timm
import torch
from safetensors.torch import save

from tests.conftest import ROOT
from tests.hub_server import HubServer
from tests.training.conftest import checkpoint

REPO = "timm/test_convnext.r160_in1k"


def train(recipe: Path, data: Path, out: Path, endpoint: str, cache: Path) -> tuple[int, str]:
    """A run that does not move its weights; its status and what it told."""
    still = ["--epochs", "1", "--learning-rate", "1e-12", "--weight-decay", "0"]
    command = [sys.executable, "-m", "training.train", "--init", "imagenet", *still]
    command += ["--recipe", str(recipe), "--data", str(data), "--out", str(out)]
    environment = os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache)}
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stderr


def test_pretrained_weights_are_fetched_and_used(
    recipe_file: Path, tiny_data: Path, tmp_path: Path
) -> None:
    theirs = timm.create_model("test_convnext")  # three colours, a thousand classes
    weights = theirs.state_dict()
    with HubServer() as hub:
        hub.commit(REPO, {"model.safetensors": save(weights, metadata={"format": "pt"})})
        out, cache = tmp_path / "run", tmp_path / "cache"
        status, told = train(recipe_file, tiny_data, out, hub.url, cache)
        assert status == 0, told
        assert hub.count("GET", "/store/") == 1
    ours = checkpoint(out)["model"]
    for name, tensor in weights.items():
        if name.startswith("stem.0.weight"):
            tensor = tensor.sum(1, keepdim=True)  # one grey channel takes the colours' sum
        if not name.startswith("head.fc"):
            torch.testing.assert_close(ours[name], tensor, rtol=0, atol=1e-5)
    assert ours["head.fc.weight"].shape == (15, theirs.num_features)


def test_weights_that_cannot_be_had_are_a_sentence(
    recipe_file: Path, tiny_data: Path, tmp_path: Path
) -> None:
    with HubServer() as hub:  # one that has no such repository
        status, told = train(recipe_file, tiny_data, tmp_path / "run", hub.url, tmp_path / "cache")
    assert status == 1
    assert "The pretrained weights of test_convnext could not be fetched from the Hub" in told
    assert "use --init scratch" in told
    assert "Traceback" not in told
