"""What is measured of several networks together is what the app then computes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fer_demo import weights
from fer_demo.classifier import load_classifier
from fer_demo.ensemble import ENSEMBLE, FILE
from fer_demo.predictors import load_predictor
from fer_demo.saliency import grey_crops
from fer_demo.settings import Settings
from fer_demo.types import FERPLUS7_HEAD
from fer_demo.weights import open_weights
from tests.factories import write_weights_folder
from tests.training.conftest import tiny_faces
from training import calibrate, ensemble, evaluate
from training.predict import Model, Network

SETTINGS = Settings(hub_repos=(), threads=1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> list[Path]:
    """Two calibrated networks and what was measured of them together."""
    parent = tmp_path_factory.mktemp("weights")
    found = [
        write_weights_folder(parent / name, "test_resnet", side, seed)
        for name, side, seed in (("one", 48, 0), ("two", 96, 1))
    ]
    for folder in found:
        assert calibrate.main(["--weights", str(folder), "--data", str(tiny_data)]) == 0
    assert ensemble.main([*each(found), "--data", str(tiny_data)]) == 0
    return found


def each(folders: list[Path]) -> list[str]:
    return [argument for folder in folders for argument in ("--weights", str(folder))]


def test_evaluation_and_app_compute_the_same(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = tiny_faces(20, seed=3).grey
    monkeypatch.setattr(weights, "BUNDLED", folders[0].parent)
    app = load_predictor(
        ENSEMBLE, SETTINGS, lambda name: load_classifier(open_weights(name, SETTINGS), SETTINGS)
    )
    document = json.loads((folders[0].parent / FILE).read_text())
    assert app.uncertain_below == document["uncertain_below"]
    (measured,) = Model(ENSEMBLE, [Network(folder) for folder in folders]).logits(
        grey, [FERPLUS7_HEAD], flip=False
    )
    np.testing.assert_allclose(app.predict(grey_crops(grey)).logits, measured, atol=1e-3)
    assert document["temperature"]["ferplus7"] != 1


def test_an_evaluation_uses_what_was_measured(
    folders: list[Path], tiny_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "o.json"
    seen = ["--seen-in", str(tiny_data), "--json", str(out)]
    assert evaluate.main([*each(folders), "--data", str(tiny_data), *seen]) == 0
    document = json.loads(out.read_text())
    joint = json.loads((folders[0].parent / FILE).read_text())
    assert document["weights"] == joint["members"]
    for name, share in joint["accuracy"].items():
        assert document["results"][name]["ferplus7"]["unseen"]["accuracy"] == share
    alone = max(share for name, share in joint["accuracy"].items() if name != ENSEMBLE)
    mean, low, high = joint["ahead_of_best"]
    assert mean == pytest.approx(joint["accuracy"][ENSEMBLE] - alone, abs=2e-5)
    assert low <= mean <= high
    # Fitted on these very images, so the further temperature that evaluation fits changes nothing.
    report = document["results"][ENSEMBLE]["ferplus7"]["unseen"]
    assert report["nll"] == pytest.approx(
        joint["calibration"]["ferplus7"]["nll_at_best_temperature"], abs=1e-4
    )


def test_measured_again_it_is_the_same(folders: list[Path], tiny_data: Path) -> None:
    path = folders[0].parent / FILE
    before = path.read_bytes()
    assert ensemble.main([*each(folders), "--data", str(tiny_data)]) == 0
    assert path.read_bytes() == before


def test_refusals(
    folders: list[Path], tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = write_weights_folder(folders[0].parent / "raw", "test_resnet")
    far = write_weights_folder(tmp_path / "far", "test_resnet")
    for given, sentence in (
        ([folders[0]], "takes two or more different --weights"),
        ([folders[0], folders[0]], "takes two or more different --weights"),
        ([folders[0], far], "that lie in one folder"),
        ([folders[0], raw], "raw was not calibrated. Run training.calibrate"),
    ):
        assert ensemble.main([*each(given), "--data", str(tiny_data)]) == 1
        assert sentence in capsys.readouterr().err
