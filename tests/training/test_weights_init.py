"""init = "weights": a run that goes on from a weights folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from tests.training.conftest import checkpoint, run_training
from training.calibrate import main as calibrate
from training.export import export
from training.folder import named_weights, read_config, trainable_state


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path, tiny_data: Path) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    export(tiny_run, folder)
    assert calibrate(["--weights", str(folder), "--data", str(tiny_data)]) == 0
    assert read_config(folder)["fer_demo"]["temperature"]["ferplus7"] != 1
    return folder


@pytest.fixture
def still(tiny_data: Path, recipe_file: Path, tmp_path: Path) -> Callable[..., int]:
    """Begin or resume a run, in `run`, that does not move its weights; the exit status."""
    settings = ("--init", "weights", "--learning-rate", "1e-12", "--weight-decay", "0")
    schedule = ("--epochs", "1", "--decay-epochs", "0")  # it can be made longer
    return partial(run_training, recipe_file, tiny_data, tmp_path / "run", *settings, *schedule)


def test_training_goes_on_where_it_ended_before_calibration(
    calibrated: Path, tiny_run: Path, still: Callable[..., int], tmp_path: Path
) -> None:
    assert still("--weights", str(calibrated)) == 0
    begun, ended = checkpoint(tmp_path / "run")["model"], checkpoint(tiny_run)["ema"]
    for name in (name for name in ended if name.startswith("head.fc")):
        # float16 in between
        torch.testing.assert_close(begun[name], ended[name], rtol=2e-3, atol=1e-4)


def test_the_weights_that_a_run_began_with_are_kept_in_its_card_through_an_interruption(
    calibrated: Path, still: Callable[..., int], tmp_path: Path
) -> None:
    falls = ("--decay-epochs", "1")
    assert still("--weights", str(calibrated), *falls, "--epochs", "2") == 0
    assert still("--resume", *falls, "--epochs", "3") == 0
    export(tmp_path / "run", tmp_path / "weights")
    recipe = read_config(tmp_path / "weights")["fer_demo"]["recipe"]
    assert recipe["began_from"] == named_weights(calibrated)


def test_a_card_tells_of_the_epochs_and_teachers_before_too(
    calibrated: Path, still: Callable[..., int], tmp_path: Path
) -> None:
    taught = shutil.copytree(calibrated, tmp_path / "taught")
    config = read_config(taught)
    config["fer_demo"]["recipe"]["teachers"] = ["teacher 0123456789ab"]
    (taught / "config.json").write_text(json.dumps(config))
    assert still("--weights", str(taught)) == 0
    assert still("--resume", "--epochs", "2") == 0
    recipe = export(tmp_path / "run", tmp_path / "weights")["fer_demo"]["recipe"]
    assert recipe["epochs_done"] == 2 + 2
    assert recipe["teachers"] == ["teacher 0123456789ab"]


def test_a_run_from_before_epochs_were_kept_is_exported_and_learns_them_from_its_weights(
    calibrated: Path, still: Callable[..., int], tmp_path: Path
) -> None:
    out, given = tmp_path / "run", ("--weights", str(calibrated))
    assert still(*given) == 0
    state = checkpoint(out)
    del state["epochs_before"], state["teachers_before"]
    torch.save(state, out / "last.pt")
    assert export(out, tmp_path / "a")["fer_demo"]["recipe"]["epochs_done"] == 1
    assert still(*given, "--resume", "--epochs", "2") == 0
    assert export(out, tmp_path / "b")["fer_demo"]["recipe"]["epochs_done"] == 2 + 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--init", "weights"), "give --weights DIR"),
        (("--weights", "HERE"), "--weights begins a run only with --init weights."),
        (("--init", "weights", "--weights", "nowhere"), "nowhere is not a weights folder"),
        (
            ("--init", "weights", "--weights", "HERE", "--architecture", "resnet18"),
            "holds test_convnext, not resnet18",
        ),
    ],
)
def test_weights_that_do_not_fit_are_a_sentence(
    options: tuple[str, ...],
    told: str,
    calibrated: Path,
    tiny_data: Path,
    recipe_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here = [str(calibrated) if option == "HERE" else option for option in options]
    assert run_training(recipe_file, tiny_data, tmp_path / "run", *here) == 1
    assert told in capsys.readouterr().err


def test_a_run_goes_on_from_its_own_weights_only(
    calibrated: Path,
    still: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = shutil.copytree(calibrated, tmp_path / "other")
    assert still("--weights", str(calibrated)) == 0
    assert still("--weights", str(other), "--resume") == 1
    told = f"The run began with {named_weights(calibrated)}, not with {named_weights(other)}."
    assert told in capsys.readouterr().err


def test_a_damaged_file_of_weights_is_a_sentence(
    calibrated: Path,
    still: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damaged = shutil.copytree(calibrated, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"no tensors")
    assert still("--weights", str(damaged)) == 1
    assert "has no readable model.safetensors" in capsys.readouterr().err
    assert trainable_state(calibrated, "test_convnext")
