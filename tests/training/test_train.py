from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import ROOT
from tests.training.conftest import (
    RECIPE,
    assert_same_weights,
    checkpoint,
    run_training,
    tiny_faces,
    write_parquet,
)
from training import export, train
from training.formats import LabelledFaces
from training.record import code_version

WHAT_SHIPS = ("--architecture", "test_efficientnet", "--optimizer", "nmuon")
"""BatchNorm and Muon, as the recipes have them whose weights ship; the tiny recipe has neither."""


@pytest.fixture(scope="module", params=[(), WHAT_SHIPS], ids=["tiny", "what ships"])
def unbroken(
    request: pytest.FixtureRequest,
    tiny_data: Path,
    recipe_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, tuple[str, ...]]:
    """A run that nothing interrupted, and the settings that it was given."""
    out = tmp_path_factory.mktemp("unbroken") / "run"
    assert run_training(recipe_file, tiny_data, out, *request.param) == 0
    return out, request.param


def log_of(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def terminate_at_step(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real SIGTERM reaches this process while it makes that step."""
    make_step = train.Run.train_step

    def train_step(run: train.Run) -> None:
        make_step(run)
        if run.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(train.Run, "train_step", train_step)


def test_a_run_leaves_checkpoint_log_and_curves(tiny_run: Path) -> None:
    assert {path.name for path in tiny_run.iterdir()} == {
        "last.pt", "before_decay.pt", "log.jsonl", "curves.png",
    }  # fmt: skip
    lines = log_of(tiny_run)
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[1]["loss"] < lines[0]["loss"]
    assert checkpoint(tiny_run)["history"] == lines


def test_the_same_run_twice_gives_the_same_weights(
    tiny_run: Path, tiny_data: Path, recipe_file: Path, tmp_path: Path
) -> None:
    assert run_training(recipe_file, tiny_data, tmp_path / "again") == 0
    assert_same_weights(tiny_run, tmp_path / "again")


@pytest.mark.parametrize("step", [3, 4, 6])  # within an epoch, at its end, in the next
def test_terminated_and_resumed_ends_as_the_unbroken_run(
    step: int,
    unbroken: tuple[Path, tuple[str, ...]],
    tiny_data: Path,
    recipe_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, settings = unbroken
    out = tmp_path / "broken"
    with monkeypatch.context() as patch:
        terminate_at_step(step, patch)
        assert run_training(recipe_file, tiny_data, out, *settings) == 1
    told = capsys.readouterr().err
    assert f"Stopped at step {step} of 8" in told
    assert "--resume" in told
    assert checkpoint(out)["step"] == step
    assert run_training(recipe_file, tiny_data, out, *settings, "--resume") == 0
    assert_same_weights(whole, out)
    same = ("epoch", "loss", "learning_rate", "fer2013", "ferplus8")
    for a, b in zip(log_of(whole), log_of(out), strict=True):
        assert [a[key] for key in same] == [b[key] for key in same]


def test_ctrl_c_saves_too(
    tiny_data: Path, recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        while not (tmp_path / "run/last.pt").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    assert run_training(recipe_file, tiny_data, tmp_path / "run", "--epochs", "500") == 1
    told = capsys.readouterr().err
    assert "Give the same command with --resume" in told
    (step,) = map(int, re.findall(r"Stopped at step (\d+) of", told))
    assert checkpoint(tmp_path / "run")["step"] == step


def test_a_finished_run_can_be_made_longer(
    tiny_data: Path, recipe_file: Path, tmp_path: Path
) -> None:
    short, long = tmp_path / "short", tmp_path / "long"
    assert run_training(recipe_file, tiny_data, short) == 0
    assert run_training(recipe_file, tiny_data, short, "--resume", "--epochs", "3") == 0
    assert run_training(recipe_file, tiny_data, long, "--epochs", "3") == 0
    assert_same_weights(short, long)


def test_a_finished_run_that_is_resumed_says_that_it_is_finished(
    tiny_run: Path, tiny_data: Path, recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_training(recipe_file, tiny_data, tiny_run, "--resume") == 0
    assert "is finished: --epochs MORE makes it longer" in capsys.readouterr().err


def test_a_rate_that_was_changed_is_told_of_up_to_where_it_was(
    tiny_data: Path, recipe_file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    constant = ("--decay-epochs", "0")
    assert run_training(recipe_file, tiny_data, run, *constant, "--epochs", "1") == 0
    further = (*constant, "--resume", "--epochs", "2", "--learning-rate", "0.001")
    before, step = checkpoint(run)["recipe"]["learning_rate"], checkpoint(run)["step"]
    assert run_training(recipe_file, tiny_data, run, *further) == 0
    recipe = export.export(run, tmp_path / "w")["fer_demo"]["recipe"]
    assert recipe["learning_rate"] == 0.001
    assert recipe["changed"] == [f"learning_rate {before} up to step {step}"]


def test_a_rate_that_fell_is_not_raised_again(
    tiny_data: Path,
    recipe_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    falling = ("--epochs", "2", "--decay-epochs", "2")
    with monkeypatch.context() as patch:
        terminate_at_step(2, patch)
        assert run_training(recipe_file, tiny_data, tmp_path / "run", *falling) == 1
    again = ("--resume", "--epochs", "2", "--decay-epochs", "1")
    assert run_training(recipe_file, tiny_data, tmp_path / "run", *again) == 1
    assert "its learning rate began to fall" in capsys.readouterr().err
    assert run_training(recipe_file, tiny_data, tmp_path / "run", "--resume", *falling) == 0


def test_refusals_say_what_to_do(
    tiny_run: Path,
    tiny_data: Path,
    recipe_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for out, options, sentence in (
        (tiny_run, (), "holds a run already: add --resume"),
        (tiny_run, ("--resume", "--batch-size", "8"), "was made with other settings"),
        (tmp_path / "new", ("--resume",), "holds no checkpoint to resume from"),
        (tiny_run, ("--resume", "--epochs", "1"), "last.pt is past epoch 1 already"),
        (tmp_path / "x", ("--architecture", "resnet19"), 'timm has no architecture "resnet19"'),
        (tmp_path / "x", ("--optimizer", "adamv"), 'timm has no optimizer "adamv"'),
    ):
        assert run_training(recipe_file, tiny_data, out, *options) == 1
        assert sentence in capsys.readouterr().err


def test_one_set_is_refused_since_it_would_be_trained_and_watched_on(
    tiny_data: Path, recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tiny_data / "public_test.parquet"
    assert run_training(recipe_file, file, tmp_path / "run") == 1
    assert f"{file} is one set: training needs train and test apart." in capsys.readouterr().err


@pytest.mark.parametrize("kept", [0, 1000])  # bytes
def test_a_cut_off_checkpoint_is_a_sentence(
    kept: int,
    tiny_run: Path,
    tiny_data: Path,
    recipe_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "last.pt").write_bytes((tiny_run / "last.pt").read_bytes()[:kept])
    assert run_training(recipe_file, tiny_data, tmp_path, "--resume") == 1
    assert "last.pt is not a checkpoint of a run, or is damaged" in capsys.readouterr().err


@pytest.fixture
def longer(tiny_data: Path, recipe_file: Path, tmp_path: Path) -> Callable[..., int]:
    """Make a run of one epoch longer, in `tmp_path`; the exit status."""
    constant = ("--decay-epochs", "0", "--warmup-epochs", "0")
    run = partial(run_training, recipe_file, tiny_data, tmp_path, *constant)
    assert run("--epochs", "1") == 0
    return partial(run, "--resume")


def test_a_loss_that_is_not_a_number_ends_with_a_sentence(
    longer: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tmp_path / "last.pt").read_bytes()
    assert longer("--epochs", "3", "--learning-rate", "1e30") == 1
    told = capsys.readouterr().err
    assert "The loss became nan" in told
    assert "lower --learning-rate" in told
    assert (tmp_path / "last.pt").read_bytes() == before
    # The advice works.
    assert longer("--epochs", "2", "--learning-rate", "1e-4") == 0


def test_weights_that_are_no_numbers_are_not_saved(
    longer: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = (tmp_path / "last.pt").read_bytes()
    make_step = train.Run.train_step

    def train_step(run: train.Run) -> None:  # the loss is that of before the step
        make_step(run)
        if run.step == run.total_steps:
            next(run.network.parameters()).data.fill_(float("nan"))

    with monkeypatch.context() as patch:
        patch.setattr(train.Run, "train_step", train_step)
        assert longer("--epochs", "2") == 1
    told = capsys.readouterr().err
    assert "A weight became no number near step 8." in told
    assert "lower --learning-rate" in told
    assert (tmp_path / "last.pt").read_bytes() == before
    assert longer("--epochs", "2") == 0


@pytest.mark.parametrize("change", ["fewer", "labels", "votes"])
def test_a_run_does_not_go_on_with_other_data(
    change: str,
    longer: Callable[..., int],
    tiny_data: Path,
    recipe_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    faces, other = tiny_faces(64), tmp_path / "other"
    other.mkdir()
    if change == "fewer":
        faces = faces[:40]
    elif change == "labels":
        faces.label[3] = (faces.label[3] + 1) % 7
    else:
        faces = LabelledFaces(faces.grey, faces.label, None)
    write_parquet(other / "train.parquet", faces)
    write_parquet(other / "public_test.parquet", tiny_faces(35, seed=1))
    constant = ("--decay-epochs", "0", "--warmup-epochs", "0", "--resume", "--epochs", "2")
    assert run_training(recipe_file, other, tmp_path, *constant) == 1
    assert "was trained on other images, labels or votes" in capsys.readouterr().err
    assert longer("--epochs", "2") == 0


def test_minutes_are_those_of_broken_off_epochs_too(
    recipe_file: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_step = train.Run.train_step

    def slow_step(run: train.Run) -> None:
        make_step(run)
        if run.step == 2:
            time.sleep(1.2)
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(train.Run, "train_step", slow_step)
        assert run_training(recipe_file, tiny_data, tmp_path) == 1
    assert run_training(recipe_file, tiny_data, tmp_path, "--resume") == 0
    assert log_of(tmp_path)[0]["minutes"] >= 0.02


def test_a_full_disk_ends_with_a_sentence(
    longer: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tmp_path / "last.pt").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        status = longer("--epochs", "2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    told = capsys.readouterr().err
    assert status == 1
    assert "could not be written" in told
    assert "free some space and use --resume" in told
    assert (tmp_path / "last.pt").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))
    assert longer("--epochs", "2") == 0


def test_without_votes_only_the_fer2013_head_learns(
    recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = tiny_faces(64)
    bare = LabelledFaces(faces.grey, faces.label, None)
    for split in ("train", "public_test"):
        write_parquet(tmp_path / f"{split}.parquet", bare)
    options = ("--weight-decay", "0", "--epochs", "1")
    assert run_training(recipe_file, tmp_path, tmp_path / "run", *options) == 0
    assert log_of(tmp_path / "run")[0]["ferplus8"] is None
    assert "holds 64 train images, not FER2013's 28,709" in capsys.readouterr().err
    # The app shows FER+'s head, of which this run knows nothing.
    assert export.main(["--run", str(tmp_path / "run"), "--to", str(tmp_path / "weights")]) == 1
    assert "nothing taught it FER+'s classes" in capsys.readouterr().err


def test_the_code_and_precision_of_a_run_stand_in_its_weights_folder(
    tiny_run: Path, tiny_data: Path, recipe_file: Path, tmp_path: Path
) -> None:
    made_by = f"{code_version() or 'unknown code'} in fp32"
    assert export.export(tiny_run, tmp_path / "w")["fer_demo"]["recipe"]["made_by"] == made_by
    # Made longer by other code, it is of both.
    run = shutil.copytree(tiny_run, tmp_path / "run")
    for name in ("last.pt", "before_decay.pt"):
        state = torch.load(run / name, weights_only=True)
        torch.save(state | {"made_by": "0123 in bf16"}, run / name)
    assert run_training(recipe_file, tiny_data, run, "--resume") == 0
    assert checkpoint(run)["made_by"] == "0123 in bf16"
    assert run_training(recipe_file, tiny_data, run, "--resume", "--epochs", "3") == 0
    assert checkpoint(run)["made_by"] == f"0123 in bf16, then {made_by}"


def test_outside_a_checkout_the_code_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert code_version() == ""


def test_two_processes_follow_the_loss_curve_of_one(tiny_data: Path, tmp_path: Path) -> None:
    """Over gloo. Dropout and augmentation are off and the faces symmetric: flips do nothing."""
    recipe = tmp_path / "recipe.toml"
    quiet = ("rotation", "shift", "scale", "contrast", "erase", "degrade", "drop_rate")
    recipe.write_text(RECIPE + "".join(f"{name} = 0.0\n" for name in quiet))
    assert run_training(recipe, tiny_data, tmp_path / "one", "--epochs", "3") == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-port", "0", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    command += ["-m", "training.train", "--recipe", str(recipe), "--data", str(tiny_data)]
    command += ["--out", str(tmp_path / "two"), "--epochs", "3"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    one, two = ([line["loss"] for line in log_of(tmp_path / name)] for name in ("one", "two"))
    assert [line["processes"] for line in log_of(tmp_path / "two")] == [2, 2, 2]
    np.testing.assert_allclose(two, one, rtol=1e-3)
