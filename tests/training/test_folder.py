"""Export and calibration: what the weights folder is, and that anyone's timm reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file

from tests.training.conftest import checkpoint, logits_of, run_training
from training import export
from training.folder import (
    LABELS,
    FolderError,
    fold_temperature,
    read_config,
    read_state,
    timm_network,
    write_folder,
)


def test_export_round_trip_through_plain_timm(weights: Path, tiny_run: Path) -> None:
    network = timm.create_model(f"local-dir:{weights}", pretrained=True)
    averaged = checkpoint(tiny_run)["ema"]
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == averaged[name].dtype
        half = averaged[name].half().float() if name in dict(network.named_parameters()) else None
        assert torch.equal(tensor, averaged[name] if half is None else half)
    assert network.pretrained_cfg["input_size"] == (1, 32, 32)
    assert tuple(network.pretrained_cfg["label_names"]) == LABELS


def test_what_is_written_is_ours(weights: Path) -> None:
    config = read_config(weights)
    ours = config["pretrained_cfg"]
    assert not {"tag", "origin_url", "url", "hf_hub_id", "paper_ids"} & set(ours)
    assert ours["mean"] == ours["std"] == [0.5]
    assert ours["pool_size"] == [2, 2]
    assert "research use" in ours["license"]
    assert config["fer_demo"]["temperature"] == {"fer2013": 1, "ferplus8": 1, "ferplus7": 1}
    assert config["fer_demo"]["recipe"]["epochs_done"] == 2
    assert {t.dtype for t in load_file(weights / "model.safetensors").values()} == {torch.float16}
    files = json.loads((weights / "manifest.json").read_text())["files"]
    assert {name: entry["size"] for name, entry in files.items()} == {
        name: (weights / name).stat().st_size for name in ("model.safetensors", "config.json")
    }


def test_batch_norm_statistics_stay_float32(
    tiny_data: Path, recipe_file: Path, tmp_path: Path
) -> None:
    options = ("--architecture", "test_resnet", "--epochs", "1")
    assert run_training(recipe_file, tiny_data, tmp_path / "run", *options) == 0
    assert export.main(["--run", str(tmp_path / "run"), "--to", str(tmp_path / "w")]) == 0
    kinds = {k: t.dtype for k, t in load_file(tmp_path / "w/model.safetensors").items()}
    assert {v for k, v in kinds.items() if "running" in k} == {torch.float32}
    assert {v for k, v in kinds.items() if k.endswith("weight")} == {torch.float16}
    timm_network(tmp_path / "w")


def test_a_changed_file_is_refused(weights: Path) -> None:
    with (weights / "model.safetensors").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(FolderError, match="is not the file that manifest"):
        timm_network(weights)


def test_a_network_that_wants_other_input_is_refused(weights: Path, tmp_path: Path) -> None:
    config = read_config(weights)
    config["pretrained_cfg"]["mean"] = [0.485]
    write_folder(tmp_path / "w", config, read_state(weights))
    with pytest.raises(FolderError, match="wants its input scaled otherwise"):
        timm_network(tmp_path / "w")


def test_nothing_to_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export.main(["--run", str(tmp_path), "--to", str(tmp_path / "w")]) == 1
    assert "holds no checkpoint" in capsys.readouterr().err
    (tmp_path / "last.pt").write_bytes(b"half a checkpoint")
    assert export.main(["--run", str(tmp_path), "--to", str(tmp_path / "w")]) == 1
    assert "is not a checkpoint of a run" in capsys.readouterr().err
    with pytest.raises(FolderError, match="is not a weights folder"):
        timm_network(tmp_path / "w")


def test_folding_divides_the_logits_of_each_head() -> None:
    network = timm.create_model("test_resnet", in_chans=1, num_classes=15).eval()
    before = logits_of(network)
    folded = fold_temperature(network.state_dict(), "fc", {"fer2013": 2.0, "ferplus": 0.5})
    network.load_state_dict(folded)
    after = logits_of(network)
    torch.testing.assert_close(after[:, :7], before[:, :7] / 2, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(after[:, 7:], before[:, 7:] / 0.5, rtol=1e-5, atol=1e-6)
