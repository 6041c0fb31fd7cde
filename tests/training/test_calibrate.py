"""Temperatures, the threshold and the table of confidence."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.conftest import logits_of, tiny_faces
from training import calibrate
from training.calibrate import (
    confidence_table,
    confidence_threshold,
    held_out_threshold,
    reliability_bins,
)
from training.folder import read_config, timm_network
from training.formats import DataError
from training.metrics import ece


def test_calibration_folds_its_temperatures_in(
    weights: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = logits_of(timm_network(weights)[0])
    command = ["--weights", str(weights), "--data", str(tiny_data / "public_test.parquet")]
    assert calibrate.main(command) == 0
    network, config = timm_network(weights)
    card = config["fer_demo"]
    t = card["temperature"]
    assert t["ferplus8"] == t["ferplus7"] != 1
    after = logits_of(network)
    # float16 holds a weight to one part in 2048.
    atol = 2e-3 * before.abs().max().item() / min(t.values())
    torch.testing.assert_close(after[:, :7], before[:, :7] / t["fer2013"], rtol=0, atol=atol)
    torch.testing.assert_close(after[:, 7:], before[:, 7:] / t["ferplus7"], rtol=0, atol=atol)
    assert card["calibration"]["fer2013"]["n"] == 28  # 7 of the 35 were seen in training
    assert 0 < card["uncertain_below"] <= 1
    assert "cross-fitted on 28 images" in capsys.readouterr().out
    # Once more: the same raw temperatures, the same weights.
    kept = shutil.copytree(weights, weights.with_name("kept"))
    assert calibrate.main(command) == 0
    again = read_config(weights)["fer_demo"]["temperature"]
    assert again == pytest.approx(read_config(kept)["fer_demo"]["temperature"], rel=2e-3)


def test_calibration_refuses_data_that_selects_nothing(weights: Path) -> None:
    faces = replace(tiny_faces(20), for_selection=False, caution="Two tests merged.")
    with pytest.raises(DataError, match="Two tests merged"):
        calibrate.calibrate(weights, faces, tiny_faces(7))
    with pytest.raises(DataError, match="needs FER"):
        calibrate.calibrate(weights, replace(tiny_faces(20), votes=None), tiny_faces(7))
    with pytest.raises(DataError, match="Every image is in the training data"):
        calibrate.calibrate(weights, tiny_faces(20), tiny_faces(20))


def test_threshold_is_the_lowest_that_keeps_the_promise() -> None:
    confidence = np.linspace(1, 0, 1000)
    right = np.ones(1000, bool)
    right[500::2] = False  # below 0.5 every other answer is wrong
    limit = confidence_threshold(confidence, right, 0.95)
    answered = confidence >= limit
    assert 0.94 < right[answered].mean() <= 0.96
    assert 0.5 < answered.mean() < 0.6
    assert confidence_threshold(confidence, ~right, 0.95) == 1.0
    held = held_out_threshold(confidence, right, np.arange(1000) % 5, 0.95)
    assert held["accuracy"] == pytest.approx(0.95, abs=0.02)


def test_the_bins_of_a_reliability_diagram_add_up_to_the_ece() -> None:
    generator = np.random.default_rng(0)
    label = generator.integers(0, 7, 500)
    logits = generator.normal(0, 2, (500, 7)).astype(np.float32)
    bins = {name: np.array(column) for name, column in reliability_bins(logits, label).items()}
    assert bins["n"].sum() == 500
    gaps = np.abs(bins["right"] - bins["n"] * bins["confidence"]).sum() / 500
    assert gaps == pytest.approx(ece(logits, label), abs=1e-3)


def test_confidence_table_counts_every_answer() -> None:
    probs = np.full((4, 7), 0.01)
    probs[[0, 1, 2, 3], [3, 3, 4, 3]] = [0.94, 0.55, 0.94, 0.94]
    table = confidence_table(probs, np.array([3, 6, 4, 6]))
    answers = table["answers"]
    assert sum(answers["all"]["n"]) == 4
    at = table["edges"].index(0.9)
    assert answers["happy"]["n"][at] == 2
    assert answers["happy"]["right"][at] == 1
    assert answers["happy"]["confused_with"] == "neutral"
    assert answers["happy"]["confused_share"] == pytest.approx(2 / 3, abs=1e-4)
    assert answers["sad"]["confused_with"] is None


def test_calibration_refuses_private_test_and_warns_of_a_part_of_the_training_images(
    weights: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = (weights / "config.json").read_bytes()
    for name, source in (("private_test", "public_test"), ("public_test", "public_test")):
        shutil.copy(tiny_data / f"{source}.parquet", tmp_path / f"{name}.parquet")
    shutil.copy(tiny_data / "train-00000-of-00002.parquet", tmp_path)
    command = ["--weights", str(weights), "--data"]
    assert calibrate.main([*command, str(tmp_path / "private_test.parquet")]) == 1
    assert "is PrivateTest: it is held out" in capsys.readouterr().err
    assert (weights / "config.json").read_bytes() == card
    assert calibrate.main([*command, str(tmp_path)]) == 0
    assert "holds 40 train images, not FER2013's 28,709" in capsys.readouterr().err


@pytest.mark.parametrize("share", ["95", "0", "nan", "high"])
def test_the_target_of_calibration_is_a_share(
    share: str, weights: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--weights", str(weights), "--data", str(tiny_data), "--accuracy", share]
    with pytest.raises(SystemExit):
        calibrate.main(command)
    assert f"a share between 0 and 1, as .95, not {share}" in capsys.readouterr().err
