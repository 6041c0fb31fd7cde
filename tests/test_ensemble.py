"""Several models as one: mean probabilities, evidence on the finest grid, measured or guessed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fer_demo import __main__, weights
from fer_demo.classifier import Classifier, load_classifier, softmax
from fer_demo.ensemble import ENSEMBLE, FILE, Ensemble, average_evidence, read_joint, together
from fer_demo.errors import ModelUnavailable
from fer_demo.export import to_record
from fer_demo.faces import Haar
from fer_demo.images import read_photo
from fer_demo.pipeline import analyse
from fer_demo.predictors import load_predictor, member_names, predictor_names
from fer_demo.saliency import grey_crops
from fer_demo.settings import Settings
from fer_demo.weights import open_weights
from tests.conftest import ROOT
from tests.factories import write_weights_folder

SETTINGS = Settings(hub_repos=(), threads=1)

TEMPERATURE = {"fer2013": 1.5, "ferplus8": 0.5, "ferplus7": 0.5}


def threshold(value: float) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["fer_demo"].update(uncertain_below=value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small models whose maps have 3 x 3 and 6 x 6 places."""
    path = tmp_path_factory.mktemp("weights")
    write_weights_folder(path / "rough", "test_resnet", 48, config=threshold(0.6))
    write_weights_folder(path / "fine", "test_resnet", 96, seed=1, config=threshold(0.7))
    return path


@pytest.fixture(autouse=True)
def bundled(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The two in the place of the bundled weights, where a test may add a file."""
    for model in folder.iterdir():
        (tmp_path / model.name).symlink_to(model)
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def members(folder: Path) -> list[Classifier]:
    patch = pytest.MonkeyPatch()
    patch.setattr(weights, "BUNDLED", folder)
    loaded = [load_classifier(open_weights(n, SETTINGS), SETTINGS) for n in ("fine", "rough")]
    patch.undo()
    return loaded


def load(members: list[Classifier], name: str = ENSEMBLE) -> Any:
    return load_predictor(name, SETTINGS, lambda one: {m.name: m for m in members}[one])


CALIBRATION = {
    "edges": [0, 1], "answers": {"all": {"right": [3], "n": [4]}},
    "at_threshold": {"coverage": 1, "accuracy": 0.75},
}  # fmt: skip
"""The least that training.ensemble writes."""


def write_joint(path: Path, **changes: Any) -> None:
    """`ensemble.json` of the two members, as training.ensemble writes it, or changed."""
    sha256 = {name: open_weights(name, SETTINGS).card.sha256 for name in ("rough", "fine")}
    document = {
        "members": sha256, "temperature": TEMPERATURE, "uncertain_below": 0.65,
        "accuracy": {"rough": 0.7, "fine": 0.8, ENSEMBLE: 0.81},
        "calibration": {"ferplus7": CALIBRATION}, **changes,
    }  # fmt: skip
    (path / FILE).write_text(json.dumps(document))


def test_logits_are_the_log_of_the_mean_probability_over_the_temperature() -> None:
    one, other = np.random.default_rng(0).normal(0, 3, (2, 20, 7)).astype(np.float32)
    mean = (softmax(one) + softmax(other)) / 2
    np.testing.assert_allclose(np.exp(together([one, other])), mean, atol=1e-6)
    np.testing.assert_allclose(2 * together([one, other], 2.0), np.log(mean), atol=1e-5)


def test_evidence_is_averaged_on_the_finest_grid() -> None:
    flat = np.full((2, 7, 3, 3), 4, np.float32)
    fine = np.random.default_rng(0).normal(size=(2, 7, 6, 7)).astype(np.float32)
    found = average_evidence([flat, fine])
    assert found.shape == (2, 7, 6, 7)
    np.testing.assert_allclose(found, (4 + fine) / 2, atol=1e-6)
    # A corner's largest value stays where it was, and nothing beyond it is made up.
    peak = np.zeros((1, 1, 3, 3), np.float32)
    peak[..., 0, 0] = 1
    spread = average_evidence([peak, np.zeros((1, 1, 6, 6), np.float32)])
    assert spread.argmax() == 0
    assert 0 <= spread.min() <= spread.max() <= 0.5


def test_an_ensemble_answers_with_the_mean_of_its_members(members: list[Classifier]) -> None:
    crops = grey_crops(np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8))
    found, each = load(members).predict(crops), [member.predict(crops) for member in members]
    np.testing.assert_allclose(found.probs, (each[0].probs + each[1].probs) / 2, atol=1e-6)
    assert [one.evidence.shape[2:] for one in each] == [(6, 6), (3, 3)]
    assert found.evidence.shape == (3, 7, 6, 6)


def test_no_faces_are_no_predictions(members: list[Classifier]) -> None:
    assert len(load(members).predict(grey_crops(np.zeros((0, 48, 48), np.uint8)))) == 0


def test_what_was_measured_of_the_members_counts(members: list[Classifier], bundled: Path) -> None:
    crops = grey_crops(np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8))
    guessed = load(members)
    assert guessed.uncertain_below == 0.7, "the larger of the two"
    write_joint(bundled)
    measured = load(members)
    assert (measured.uncertain_below, measured.calibration) == (0.65, CALIBRATION)
    logits = guessed.predict(crops).logits / TEMPERATURE["ferplus7"]
    np.testing.assert_allclose(measured.predict(crops).logits, logits, rtol=1e-5)


def test_what_was_measured_of_other_weights_does_not_count(bundled: Path) -> None:
    write_joint(bundled, members={"rough": "0" * 64, "fine": "1" * 64})
    joint = read_joint(["0" * 64, "2" * 64], [0.6, 0.7])
    assert (joint.uncertain_below, joint.best) == (0.7, False)
    assert set(joint.temperature.values()) == {1.0}
    assert read_joint(["1" * 64, "0" * 64], [0.6, 0.7]).uncertain_below == 0.65


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"members": []}'])
def test_a_file_that_cannot_be_read_is_a_sentence(bundled: Path, text: str) -> None:
    (bundled / FILE).write_text(text)
    with pytest.raises(ModelUnavailable, match=r"ensemble\.json was not written by training"):
        read_joint(["0" * 64], [0.5])
    assert predictor_names(SETTINGS)[0] == "fine", "the single models still serve"


def test_the_ensemble_is_offered_with_two_models_and_first_where_it_is_best(bundled: Path) -> None:
    assert predictor_names(SETTINGS) == ("fine", "rough", ENSEMBLE)
    assert member_names(ENSEMBLE, SETTINGS) == ("fine", "rough")
    write_joint(bundled)
    assert predictor_names(SETTINGS) == (ENSEMBLE, "fine", "rough")
    write_joint(bundled, accuracy={"rough": 0.7, "fine": 0.82, ENSEMBLE: 0.81})
    assert predictor_names(SETTINGS)[-1] == ENSEMBLE
    write_joint(bundled, members={"rough": "0" * 64, "fine": "1" * 64})
    assert predictor_names(SETTINGS)[-1] == ENSEMBLE
    (bundled / FILE).unlink()
    (bundled / "rough").unlink()
    assert predictor_names(SETTINGS) == ("fine",)


def test_two_repositories_are_an_ensemble_too() -> None:
    settings = Settings(hub_repos=("me/a", "me/b@v1"))
    assert predictor_names(settings) == ("me/a", "me/b@v1", ENSEMBLE)


def test_the_command_line_asks_all_models(
    photos: Path,
    members: list[Classifier],
    without_yunet: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FER_HUB_REPOS", "")
    asked = ["analyse", str(photos / "obama.jpg"), "--json", "--model"]
    assert __main__.main([*asked, ENSEMBLE]) == 0
    found = json.loads(capsys.readouterr().out)
    photo = read_photo((photos / "obama.jpg").read_bytes(), "obama.jpg")
    expected = to_record(analyse(photo, Haar(), load(members)), found["image"])
    assert found["model"] == ENSEMBLE
    assert found["faces"][0]["probabilities"] == pytest.approx(
        expected["faces"][0]["probabilities"], abs=1e-5
    )
    assert __main__.main([*asked, "x"]) == 2
    assert "Choose one of: fine, rough, ensemble." in capsys.readouterr().err


def test_members_are_shared_not_loaded_again(members: list[Classifier]) -> None:
    ensemble = load(members)
    assert isinstance(ensemble, Ensemble)
    assert set(ensemble.members) == set(members)
    assert load(members, "fine") is members[0]


def test_models_that_ship_together_were_measured_together() -> None:
    folder = ROOT / "fer_demo/weights"
    manifests = [json.loads(path.read_text()) for path in folder.glob("*/manifest.json")]
    if len(manifests) < 2:
        pytest.skip("one model ships")
    sha256 = [manifest["files"]["model.safetensors"]["sha256"] for manifest in manifests]
    assert read_joint(sha256, [1.0], folder).calibration, "run training.ensemble on them"
