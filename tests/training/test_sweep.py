from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from training import sweep
from training.recipe import RecipeError


def test_a_grid_is_every_combination_with_the_reference_first() -> None:
    points = sweep.grid(["learning_rate=2e-3,1e-3", "seed=0,1"])
    assert points[0] == {"learning_rate": 2e-3, "seed": 0}
    assert len(points) == 4
    assert {tuple(point.values()) for point in points} == {
        (2e-3, 0), (2e-3, 1), (1e-3, 0), (1e-3, 1),
    }  # fmt: skip


@pytest.mark.parametrize("pair", ["learning_rate", "no_setting=1", "epochs=many", "progressive=1"])
def test_a_pair_that_names_no_setting_is_refused(pair: str) -> None:
    with pytest.raises(RecipeError, match="--set"):
        sweep.grid([pair])


def test_the_interval_of_a_real_difference_excludes_zero_and_of_noise_does_not() -> None:
    noise = np.random.default_rng(1).normal(0, 1, 2000)
    low, high = sweep.paired_interval(noise - noise.mean())
    assert low < 0 < high
    low, high = sweep.paired_interval(noise - noise.mean() + 0.2)
    assert 0.1 < low < 0.2 < high < 0.3


def test_a_sweep_trains_each_point_once_and_compares_it_with_the_first(
    tmp_path: Path, tiny_data: Path, recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--recipe", str(recipe_file), "--data", str(tiny_data), "--out", str(tmp_path)]
    options += ["--set", "learning_rate=2e-3,1e-6", "--json", str(tmp_path / "sweep.json")]
    assert sweep.main(options) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1].startswith("| learning_rate=1e-06")
    columns = {line.count("|") for line in printed.splitlines() if line.startswith("|")}
    assert len(columns) == 1
    rows = json.loads((tmp_path / "sweep.json").read_text())["rows"]
    low, high = rows[1]["fer2013"]["nll_interval"]
    assert low <= rows[1]["fer2013"]["nll_difference"] <= high
    # Who hardly learns has the higher NLL.
    assert rows[1]["fer2013"]["nll"] > rows[0]["fer2013"]["nll"]
    checkpoint = tmp_path / "learning_rate=0.002" / "last.pt"
    trained = checkpoint.stat().st_mtime_ns
    assert sweep.main(options) == 0
    assert checkpoint.stat().st_mtime_ns == trained
    assert json.loads((tmp_path / "sweep.json").read_text())["rows"] == rows
