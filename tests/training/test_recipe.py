from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from tests.conftest import ROOT
from training.recipe import Recipe, RecipeError, add_override_arguments, load_recipe, overrides_from


@pytest.mark.parametrize("path", sorted((ROOT / "training/recipes").glob("*.toml")), ids=str)
def test_every_committed_recipe_can_be_read(path: Path) -> None:
    assert load_recipe(path).epochs > 0


def test_overrides_win_and_a_size_is_meant_for_the_whole_run(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text('architecture = "resnet18"\nprogressive = [[0, 64], [3, 96]]\nepochs = 9\n')
    parser = argparse.ArgumentParser()
    add_override_arguments(parser)
    given = overrides_from(parser.parse_args(["--learning-rate", "1e-3", "--input-size", "80"]))
    recipe = load_recipe(path, given)
    assert (recipe.learning_rate, recipe.input_size, recipe.epochs) == (1e-3, 80, 9)
    assert recipe.train_size(0) == recipe.train_size(5) == 80


def test_progressive_sizes() -> None:
    recipe = Recipe("resnet18", progressive=((2, 64), (4, 80)), input_size=96)
    assert [recipe.train_size(epoch) for epoch in range(6)] == [96, 96, 64, 64, 80, 80]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("epochs = 3", "does not name an architecture"),
        ('architecture = "a"\nlearning_speed = 1', "unknown setting learning_speed"),
        ('architecture = "a"\nepochs = "many"', "epochs must be int, not 'many'"),
        ('architecture = "a"\nepochs = true', "epochs must be int"),
        ('architecture = "a"\nepochs = 0', "epochs is at least 1, not 0"),
        ('architecture = "a"\nscale = 1.0', r"scale is in \[0, 1\), not 1.0"),
        ('architecture = "a"\nlearning_rate = -1.0', "learning_rate is above 0, not -1.0"),
        ('architecture = "a"\nflip = 3', r"flip is in \[0, 1\], not 3.0"),
        ('architecture = "a"\nweight_decay = nan', "weight_decay is a finite number, not nan"),
        ('architecture = "a"\nlearning_rate = inf', "learning_rate is a finite number, not inf"),
        ('architecture = "a"\nlogit_adjustment = -1.0', "logit_adjustment is at least 0"),
        ('architecture = "a"\nseed = 8388608', r"seed is in \[0, 2\*\*23\), not 8388608"),
        ('architecture = "a"\npooling = "sum"', 'pooling is "avg" or "max", not "sum"'),
        ('architecture = "a"\nprogressive = 3', "progressive must list .* pairs, as"),
        ('architecture = "a"\nprogressive = [["x", 64]]', "progressive must list .* pairs, as"),
        ('architecture = "a"\nprogressive = [[0, 0]]', "progressive must list .* in the order"),
        ('architecture = "a"\nepochs = 2\ndecay_epochs = 3', "must not exceed epochs"),
        ('architecture = "a"\ninit = "lucky"', 'init is "scratch", "imagenet" or'),
        ('architecture = "a"\noutput_stride = 12', "output_stride is 8, 16 or 32, not 12"),
        ('architecture = "a"\nprecision = "int4"', 'precision is "auto"'),
        ('architecture = "a"\nprogressive = [[4, 96], [0, 64]]', "in the order of epochs"),
        ("architecture =", "is not valid TOML"),
    ],
)
def test_a_wrong_recipe_is_refused_with_a_sentence(
    text: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(RecipeError, match=sentence):
        load_recipe(tmp_path / "r.toml")


def test_a_size_that_a_shorter_run_never_reaches_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text('architecture = "a"\nprogressive = [[0, 64], [6, 96]]\nepochs = 9\n')
    with pytest.raises(RecipeError, match="changes size at epoch 6, but the run has only 6"):
        load_recipe(path, {"epochs": 6, "decay_epochs": 2})


def test_a_recipe_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_bytes(b'architecture = "\xe9"')
    with pytest.raises(RecipeError, match="is not valid TOML"):
        load_recipe(tmp_path / "r.toml")


def test_a_missing_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such recipe"):
        load_recipe(tmp_path / "r.toml")
