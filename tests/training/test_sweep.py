from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.conftest import checkpoint, tiny_faces
from training import distill, export, sweep, train
from training.folder import named_weights
from training.recipe import RecipeError


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """A sweep catches signals; afterwards they are the tests' again."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture
def given(tiny_data: Path, recipe_file: Path, tmp_path: Path) -> list[str]:
    """A sweep of one epoch a point, without its grid."""
    told = ["--recipe", str(recipe_file), "--data", str(tiny_data), "--out", str(tmp_path / "runs")]
    return [*told, "--epochs", "1", "--decay-epochs", "0"]


def test_a_grid_is_every_combination_with_the_reference_first() -> None:
    points = sweep.grid(["learning_rate=2e-3,1e-3", "seed=0,1"])
    assert points[0] == {"learning_rate": 2e-3, "seed": 0}
    assert len(points) == 4
    assert {tuple(point.values()) for point in points} == {
        (2e-3, 0), (2e-3, 1), (1e-3, 0), (1e-3, 1),
    }  # fmt: skip


@pytest.mark.parametrize(
    "pair", ["learning_rate", "no_setting=1", "epochs=many", "progressive=1", "precision=fp32"]
)
def test_a_pair_that_names_no_setting_is_refused(pair: str) -> None:
    with pytest.raises(RecipeError, match="--set"):
        sweep.grid([pair])


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
    # Seven of the 35 pictures are in the training split.
    assert {row[head]["n"] for row in rows for head in ("fer2013", "ferplus8")} == {28}
    low, high = rows[1]["fer2013"]["nll_interval"]
    assert low <= rows[1]["fer2013"]["nll_difference"] <= high
    # Who hardly learns has the higher NLL.
    assert rows[1]["fer2013"]["nll"] > rows[0]["fer2013"]["nll"]
    checkpoint = tmp_path / "learning_rate=0.002" / "last.pt"
    trained = checkpoint.stat().st_mtime_ns
    assert sweep.main(options) == 0
    assert checkpoint.stat().st_mtime_ns == trained
    assert json.loads((tmp_path / "sweep.json").read_text())["rows"] == rows


def test_a_head_that_nothing_taught_is_not_reported(
    given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sweep.json"
    assert sweep.main([*given, "--set", "ferplus_weight=1,0", "--json", str(out)]) == 0
    both, one = json.loads(out.read_text())["rows"]
    assert "ferplus8" in both
    assert "ferplus8" not in one
    assert "nll_interval" in one["fer2013"]
    columns = {line.count("|") for line in capsys.readouterr().out.splitlines() if "|" in line}
    assert len(columns) == 1


def test_likelihoods_are_those_after_a_temperature(given: list[str], tmp_path: Path) -> None:
    # Labels smoothed this much leave a network far too unsure.
    out, options = tmp_path / "sweep.json", ["--label-smoothing", "0.9", "--epochs", "4"]
    assert sweep.main([*given, *options, "--set", "seed=0", "--json", str(out)]) == 0
    ((row),) = json.loads(out.read_text())["rows"]
    assert row["fer2013"]["nll"] < row["fer2013"]["nll_uncalibrated"] - 0.05


def test_a_swept_size_is_that_of_the_whole_training(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text('architecture = "resnet18"\nprogressive = [[0, 64], [3, 96]]\nepochs = 9\n')
    for settings in sweep.grid(["input_size=48,80"]):
        recipe = sweep.recipe_at(path, {"epochs": 10}, settings)
        assert recipe.train_size(0) == recipe.train_size(9) == settings["input_size"]
    assert sweep.recipe_at(path, {}, {"seed": 1}).train_size(0) == 64


def test_a_point_of_other_settings_is_not_read_back(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep.main([*given, "--set", "seed=0"]) == 0
    assert sweep.main([*given, "--set", "seed=0", "--weight-decay", "0.5"]) == 1
    assert "seed=0 holds a run of other settings: choose another --out." in capsys.readouterr().err


def test_a_point_that_diverges_is_told_and_the_others_are_compared(
    given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results/new/sweep.json"
    points = ["--set", "learning_rate=1e30,2e-3,1e-3", "--warmup-epochs", "0", "--json", str(out)]
    assert sweep.main([*given, *points]) == 0
    printed = capsys.readouterr()
    assert "learning_rate=1e+30: The loss became nan near step" in printed.err
    assert "--resume" not in printed.err
    document = json.loads(out.read_text())
    assert document["diverged"] == [{"learning_rate": 1e30}]
    assert [row["settings"]["learning_rate"] for row in document["rows"]] == [2e-3, 1e-3]
    assert "nll_interval" in document["rows"][1]["fer2013"]
    assert sweep.main([*given, "--set", "learning_rate=1e30", "--warmup-epochs", "0"]) == 1
    assert "No point of the grid finished." in capsys.readouterr().err


def test_an_interrupted_sweep_is_continued_by_the_same_command(
    given: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_step = train.Run.train_step

    def train_step(run: train.Run) -> None:
        make_step(run)
        if run.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(train.Run, "train_step", train_step)
        assert sweep.main([*given, "--set", "seed=0"]) == 1
    told = capsys.readouterr().err
    assert "Stopped at step 2 of 4" in told
    assert told.endswith("Give the same command again to go on.\n")
    assert "--resume" not in told
    assert checkpoint(tmp_path / "runs/seed=0")["step"] == 2
    assert sweep.main([*given, "--set", "seed=0"]) == 0


def test_teachers_and_first_weights_can_be_swept(
    given: list[str],
    tiny_run: Path,
    tiny_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    weights, targets = tmp_path / "tiny", tmp_path / "targets.npz"
    export.export(tiny_run, weights)
    teach = ["--weights", str(weights), "--data", str(tiny_data), "--out", str(targets)]
    assert distill.main(teach) == 0
    taught = [*given, "--set", "teacher_weight=0,0.5", "--targets", str(targets)]
    assert sweep.main([*taught, "--weights", str(weights)]) == 1
    assert "--weights begins a run only with --init weights." in capsys.readouterr().err
    assert sweep.main([*taught, "--set", "init=weights", "--weights", str(weights)]) == 0
    for weight, teachers in (("0.0", []), ("0.5", [named_weights(weights)])):
        state = checkpoint(tmp_path / f"runs/teacher_weight={weight},init=weights")
        assert state["teachers"] == teachers
        assert state["began_from"] == named_weights(weights)


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        ("teacher_weight=0,0.5", "give --targets FILE"),
        ("init=scratch,weights", "give --weights DIR"),
        ("architecture=test_resnet,resnet19", 'timm has no architecture "resnet19"'),
        ("optimizer=adamw,adamv", 'timm has no optimizer "adamv"'),
    ],
)
def test_what_a_later_point_lacks_is_told_before_the_first_is_trained(
    given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], grid: str, sentence: str
) -> None:
    assert sweep.main([*given, "--set", grid]) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_nothing_is_chosen_by_data_that_is_not_for_it(
    given: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    merged = replace(tiny_faces(35, seed=1), caution="Two tests merged.", for_selection=False)
    monkeypatch.setattr(sweep, "read_train_and_valid", lambda _: (tiny_faces(64), merged))
    assert sweep.main([*given, "--set", "seed=0"]) == 1
    assert "Two tests merged." in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_one_set_is_refused(
    given: list[str], tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(tiny_data / "public_test.parquet")]
    assert sweep.main([*given, *data, "--set", "seed=0"]) == 1
    assert "is one set: training needs train and test apart." in capsys.readouterr().err
