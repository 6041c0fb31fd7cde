"""The mean of weights that lie on one path of training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.factories import write_weights_folder
from tests.training.conftest import run_training
from training import average, calibrate, export
from training.folder import (
    named_weights,
    read_config,
    read_state,
    timm_network,
    trainable_state,
    write_folder,
)


@pytest.fixture
def path(tiny_run: Path, tiny_data: Path, recipe_file: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Weights, and those that were trained on from them; both calibrated."""
    before, after, run = (tmp_path / name for name in ("before", "after", "run"))
    export.export(tiny_run, before)
    assert calibrate.main(["--weights", str(before), "--data", str(tiny_data)]) == 0
    further = ("--init", "weights", "--weights", str(before))
    assert run_training(recipe_file, tiny_data, run, *further) == 0
    export.export(run, after)
    assert calibrate.main(["--weights", str(after), "--data", str(tiny_data)]) == 0
    return before, after


def mean(*folders: Path, to: Path) -> int:
    return average.main([*(f"--weights={folder}" for folder in folders), "--to", str(to)])


def test_the_mean_lies_between_both_and_is_a_weights_folder(
    path: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mean(*path, to=tmp_path / "mean") == 0
    assert "Not calibrated yet." in capsys.readouterr().out
    one, other = (trainable_state(folder, "test_convnext") for folder in path)
    found, kept = trainable_state(tmp_path / "mean", "test_convnext"), read_state(path[1])
    for name, tensor in found.items():
        wanted = ((one[name] + other[name]) / 2).to(kept[name].dtype).float()
        torch.testing.assert_close(tensor, wanted, rtol=1e-3, atol=1e-6)
        assert read_state(tmp_path / "mean")[name].dtype == kept[name].dtype
    network, config = timm_network(tmp_path / "mean")
    assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 15)
    card = config["fer_demo"]
    assert set(card["temperature"].values()) == {1.0}
    assert "calibration" not in card
    assert card["recipe"]["mean_of"] == [named_weights(folder) for folder in path]
    assert card["recipe"]["epochs_done"] == 4


def test_a_mean_has_the_epochs_and_teachers_of_all_in_whichever_order(
    path: tuple[Path, Path], tmp_path: Path
) -> None:
    for folder, teacher in zip(path, ("first", "second"), strict=True):
        config = read_config(folder)
        config["fer_demo"]["recipe"]["teachers"] = ["both", teacher]
        write_folder(folder, config, read_state(folder))
    assert mean(*path[::-1], to=tmp_path / "mean") == 0
    recipe = read_config(tmp_path / "mean")["fer_demo"]["recipe"]
    assert recipe["epochs_done"] == 4
    assert recipe["teachers"] == ["both", "second", "first"]


def test_the_mean_of_a_folder_with_itself_says_the_same(
    path: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = path[0]
    assert mean(folder, folder, to=tmp_path / "mean") == 0
    temperature = read_config(folder)["fer_demo"]["temperature"]["fer2013"]
    x = torch.randn(4, 1, 32, 32, generator=torch.manual_seed(0))
    with torch.inference_mode():
        one, other = (timm_network(f)[0](x)[:, :7] for f in (folder, tmp_path / "mean"))
    torch.testing.assert_close(other, one * temperature, rtol=1e-2, atol=1e-2)


def test_refusals(
    path: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_weights_folder(tmp_path / "other", "test_resnet")
    with (path[0] / "model.safetensors").open("ab") as stream:
        stream.write(b"x")
    for folders, sentence in (
        ([path[1]], "takes two or more --weights"),
        ([other, path[1]], "only weights of one network have a mean"),
        ([tmp_path, path[1]], "is not a weights folder"),
        ([path[0], path[1]], "is not the file that manifest.json names"),
    ):
        assert mean(*folders, to=tmp_path / "mean") == 1
        assert sentence in capsys.readouterr().err
    assert not (tmp_path / "mean").exists()
