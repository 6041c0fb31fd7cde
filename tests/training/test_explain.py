"""The measures of faithfulness, on models whose reasons are known, and the whole command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from scipy.stats import spearmanr

from tests.factories import write_weights_folder
from training import explain
from training.faithfulness import (
    deletion_and_insertion,
    imputed,
    pictures,
    randomised_step_by_step,
    rank_correlation,
    ranks,
    road,
)

CORNER = (slice(4, 16), slice(30, 42))


def looks_at_one_corner(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Class 3 is as probable as a corner is rich in contrast."""
    p = (grey[:, CORNER[0], CORNER[1]].std(axis=(1, 2)) / 100).clip(0, 0.9)
    return np.stack([(1 - p) / 6 if k != 3 else p for k in range(7)], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def grey() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 2, (4, 48, 48), np.uint8) * 255


def test_the_map_of_the_true_reason_beats_its_opposite_on_every_measure(
    grey: NDArray[np.uint8],
) -> None:
    shown = pictures(looks_at_one_corner, grey)
    assert shown.classes.tolist() == [3] * 4
    assert (shown.whole > shown.empty + 0.5).all()
    truth = np.zeros((4, 48, 48), np.float32)
    truth[:, CORNER[0], CORNER[1]] = 1
    good, bad = (
        (*deletion_and_insertion(looks_at_one_corner, shown, rank),
         road(looks_at_one_corner, shown, rank))
        for rank in (ranks(truth), ranks(-truth))
    )  # fmt: skip
    assert (good[0] < bad[0]).all()
    assert (good[1] > bad[1]).all()
    assert (good[2] > 0).all()
    assert (bad[2] < 0).all()


def test_ranks_follow_the_map_and_break_ties_without_favour() -> None:
    maps = np.zeros((1, 48, 48), np.float32)
    maps[0, 10, 20] = 5
    maps[0, 11, 20] = -1
    rank = ranks(maps)[0]
    assert rank[10, 20] == 0
    assert rank[11, 20] == 48 * 48 - 1
    assert sorted(rank.ravel()) == list(range(48 * 48))
    # The upper half of a map without opinion is no more important than its lower half.
    assert abs(rank[:24].mean() - rank[24:].mean()) < 100


def test_imputation_agrees_with_the_grad_cam_package() -> None:
    generator = np.random.default_rng(1)
    image = generator.random((48, 48)).astype(np.float32)
    removed = generator.random((48, 48)) < 0.6
    package = NoisyLinearImputer(noise=0)
    theirs = package(torch.from_numpy(image)[None], torch.from_numpy(~removed).float())[0].numpy()
    np.testing.assert_allclose(imputed(image, removed), theirs, atol=1e-3)
    np.testing.assert_array_equal(imputed(image, removed)[~removed], image[~removed])


def test_imputation_with_nothing_removed_changes_nothing(grey: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(imputed(grey[0], np.zeros((48, 48), bool)), grey[0])


def test_rank_correlation_is_spearmans() -> None:
    generator = np.random.default_rng(2)
    one, other = generator.normal(size=(2, 5, 6, 6))
    other = other + one
    found = rank_correlation(one, other)
    for i in range(5):
        assert found[i] == pytest.approx(spearmanr(one[i].ravel(), other[i].ravel())[0])
    assert rank_correlation(one, np.zeros_like(one)).tolist() == [0] * 5


def test_randomisation_runs_from_the_last_stage_to_the_first() -> None:
    from tests.networks import random_network

    network = random_network("test_resnet")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    stages = []
    for stage in randomised_step_by_step(network):
        stages.append(stage)
        changed = {
            name.split(".")[0]
            for name, tensor in network.state_dict().items()
            if not torch.equal(tensor, before[name])
        }
        assert changed == set(stages)
    assert stages[0] == "fc"
    assert stages[-1] == "conv1"


def test_the_command_measures_every_method(tmp_path: Path, tiny_data: Path) -> None:
    weights = write_weights_folder(tmp_path / "tiny", "test_resnet", 96)
    out = tmp_path / "explain.json"
    status = explain.main(
        ["--weights", str(weights), "--data", str(tiny_data), "--json", str(out), "--images", "6"]
    )
    assert status == 0
    document = json.loads(out.read_text())
    assert document["images"] == 6
    names = {"influence", "evidence", "grad_cam", "layer_cam", "occlusion", "face_prior", "random"}
    assert set(document["methods"]) == names
    for figures in document["methods"].values():
        for measure in explain.SIGNS:
            low, high = figures[measure]["low"], figures[measure]["high"]
            assert low <= figures[measure]["mean"] <= high
    assert set(document["gains"]) == {"influence", "evidence", "layer_cam", "occlusion"}
    gain = document["gains"]["evidence"]["random"]["deletion"]["mean"]
    deletion = {name: document["methods"][name]["deletion"]["mean"] for name in names}
    assert gain == pytest.approx(deletion["random"] - deletion["evidence"], abs=2e-5)
    stages = [entry["stage"] for entry in document["randomisation"]["evidence"]]
    assert stages[0] == "fc"
    assert stages[-1] == "conv1"


def test_a_wrong_setting_is_a_sentence(
    tmp_path: Path,
    tiny_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    weights = write_weights_folder(tmp_path / "tiny", "test_resnet", 96)
    monkeypatch.setenv("FER_THREADS", "x")
    arguments = ["--weights", str(weights), "--data", str(tiny_data), "--json", "x.json"]
    assert explain.main(arguments) == 1
    assert "FER_THREADS" in capsys.readouterr().err


def test_a_folder_that_is_not_ours_is_refused_in_a_sentence(
    tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--weights", str(tmp_path), "--data", str(tiny_data), "--json", "x.json"]
    assert explain.main(arguments) == 1
    assert capsys.readouterr().err.strip().endswith(".")
