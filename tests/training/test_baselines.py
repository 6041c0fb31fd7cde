from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT
from tests.training.conftest import run_training
from training import export
from training.objective import create_network
from training.recipe import load_recipe

RECIPES = ROOT / "training/recipes"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("baseline_*.toml")), ids=lambda p: p.stem)
def test_each_baseline_takes_grey_pictures_and_gives_all_logits(path: Path) -> None:
    recipe = load_recipe(path)
    network = create_network(recipe).eval()
    side = min(recipe.input_size, 64)
    assert network(torch.rand(2, 1, side, side)).shape == (2, 15)


def test_a_baseline_without_the_second_head_learns_labels_only_and_is_not_exported(
    tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--epochs", "2", "--batch-size", "16", "--precision", "fp32")
    out = tmp_path / "run"
    assert run_training(RECIPES / "baseline_plain_cnn.toml", tiny_data, out, *options) == 0
    state = torch.load(out / "last.pt", weights_only=True)
    # No weight decay and no loss: the second head's rows stand where they began.
    torch.manual_seed(0)
    start = create_network(load_recipe(RECIPES / "baseline_plain_cnn.toml"))
    rows = state["model"]["classifier.weight"], start.state_dict()["classifier.weight"]
    assert torch.equal(rows[0][7:], rows[1][7:])
    assert not torch.equal(rows[0][:7], rows[1][:7])
    assert export.main(["--run", str(out), "--to", str(tmp_path / "weights")]) == 1
    assert "cannot be exported: plain_cnn is a baseline" in capsys.readouterr().err


def test_a_network_that_the_app_cannot_run_is_not_exported(
    tmp_path: Path, tiny_data: Path, recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    options = ("--channels", "3", "--epochs", "1")
    assert run_training(recipe_file, tiny_data, out, *options) == 0
    assert export.main(["--run", str(out), "--to", str(tmp_path / "weights")]) == 1
    assert "one grey channel and average pooling" in capsys.readouterr().err
    assert not (tmp_path / "weights").exists()
