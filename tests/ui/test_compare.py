"""The comparison of models on one face, and all models as one, in-process on tiny networks."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from fer_demo import weights
from fer_demo.ensemble import EVIDENCE_NAME
from fer_demo.types import EXPRESSIONS
from fer_demo.ui import resources
from fer_demo.ui.compare import verdict
from fer_demo.ui.origin import title
from tests.analyses import HAPPY, SAD_OR_NEUTRAL, made_analysis
from tests.factories import write_weights_folder
from tests.measurements import write_measurements
from tests.ui.photo_page import alts

SAD = SAD_OR_NEUTRAL


@pytest.fixture
def compared(app: AppTest) -> AppTest:
    """Several faces, compared."""
    app.query_params.update({"example": "several", "compare": "true"})
    return app.run()


def choose(app: AppTest, label: str, value: object) -> AppTest:
    (box,) = [box for box in app.selectbox if box.label == label]
    return box.set_value(value).run()


def test_each_model_shows_the_same_face_and_expression(compared: AppTest):
    assert not compared.exception
    (line,) = [text.value for text in compared.text if "Together they " in text.value]
    assert line.startswith(("Both models say ", "They disagree: "))
    assert len(compared.get("plotly_chart")) == 2
    choose(compared, "Face", 2)
    choose(compared, "Evidence for", "fear")
    maps = [alt for alt in alts(compared) if "the evidence of" in alt]
    assert maps == [f"Face 2 with the evidence of {name} for fear." for name in ("sure", "unsure")]


def test_the_predicted_expression_comes_first(compared: AppTest):
    analysis = next(iter(compared.session_state["gallery"].picture.analyses.values()))
    for face in (0, 1):
        choose(compared, "Face", face + 1)
        top = EXPRESSIONS[int(analysis.predictions.top[face])]
        assert f"Face {face + 1} with the evidence of sure for {top}." in alts(compared)


def test_a_choice_never_runs_a_network_again(compared: AppTest, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise AssertionError("a network ran")

    for name in ("sure", "unsure"):
        monkeypatch.setattr(resources.classifier(name), "predict", refuse)
    choose(compared, "Face", 3)
    choose(compared, "Evidence for", "angry")
    compared.toggle(key="compare").set_value(False).run()
    compared.selectbox(key="model").set_value("unsure").run()
    assert not compared.exception
    assert any(m.value.startswith("##### Uncertain") for m in compared.markdown)


def test_many_models_are_asked_once(
    app: AppTest, two_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object) -> None:
        raise AssertionError("a network ran")

    names = ("first", "second", "third", "fourth")
    for name in names:
        (tmp_path / name).symlink_to(two_models / "sure")
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    app.query_params.update({"example": "several", "compare": "true"})
    app.run()
    app.slider(key="threshold").set_value(0.5).run()
    app.selectbox(key="model").set_value("ensemble").run()
    for name in names:
        monkeypatch.setattr(resources.classifier(name), "predict", refuse)
    choose(app, "Face", 2)
    choose(app, "Evidence for", "fear")
    for name in (*names, "ensemble"):
        app.selectbox(key="model").set_value(name).run()
    assert not app.exception
    assert len(app.session_state["gallery"].picture.analyses) == 5


def test_a_choice_of_expression_is_not_kept_for_another_answer(compared: AppTest):
    answers = compared.session_state["gallery"].picture.analyses
    tops = {asked.model: int(one.predictions.top[0]) for asked, one in answers.items()}
    other = next(label for k, label in enumerate(EXPRESSIONS) if k not in tops.values())
    choose(compared, "Evidence for", other)
    compared.selectbox(key="model").set_value("unsure").run()
    (box,) = [box for box in compared.selectbox if box.label == "Evidence for"]
    assert box.value == EXPRESSIONS[tops["unsure"]]


def test_clear_deletes_the_comparison_too(compared: AppTest):
    compared.button(key="clear").click().run()
    assert not compared.session_state["gallery"].pictures
    assert not [alt for alt in alts(compared) if "evidence" in alt]


def test_one_model_has_nothing_to_compare(
    app: AppTest, two_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "sure").symlink_to(two_models / "sure")
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    app.query_params.update({"example": "one", "compare": "true"})
    app.run()
    assert not app.exception
    assert [m.value for m in app.markdown if m.value.startswith("##### ")]
    assert "compare" not in [toggle.key for toggle in app.toggle]
    assert "model" not in [box.key for box in app.selectbox]


def test_all_models_answer_as_one(app: AppTest):
    app.query_params["example"] = "one"
    app.run()
    assert app.selectbox(key="model").options == ["sure", "unsure", "Both"]
    assert resources.models() == ("sure", "unsure"), "live video is not offered it"
    app.selectbox(key="model").set_value("ensemble").run()
    assert not app.exception
    question, analysis = list(app.session_state["gallery"].picture.analyses.items())[-1]
    assert (question.model, analysis.model) == ("ensemble", "ensemble")
    assert analysis.uncertain_below == 1.0, "never measured together: the more careful of the two"
    line = "Weights: sure, bundled with this app; unsure, bundled with this app."
    assert line in [caption.value for caption in app.caption]


def test_maps_of_all_models_are_called_an_average_and_not_exact(app: AppTest):
    def claims() -> tuple[bool, bool]:
        said = app.radio(key="map-method").proto.captions
        averaged = EVIDENCE_NAME in [caption.value for caption in app.caption]
        return averaged, any("exactly" in words for words in said)

    app.query_params["example"] = "one"
    app.run()
    assert claims() == (False, True)
    app.selectbox(key="model").set_value("ensemble").run()
    assert claims() == (True, False)
    app.radio(key="map-method").set_value("evidence").run()
    assert claims() == (True, False)
    app.radio(key="map-method").set_value("occlusion").run()
    assert claims() == (False, False), "what they say together was tried out"


@pytest.fixture
def measured_together(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Two models that were measured as one, better than each; the names with their weights."""
    write_measurements(tmp_path / "made", ())
    made = json.loads((tmp_path / "made/config.json").read_text())["fer_demo"]
    sha256 = {}
    for seed, name in enumerate(("a", "b")):
        folder = write_weights_folder(
            tmp_path / "weights" / name,
            seed=seed,
            config=lambda config: config["fer_demo"].update(calibration=made["calibration"]),
        )
        manifest = json.loads((folder / "manifest.json").read_text())
        sha256[name] = manifest["files"]["model.safetensors"]["sha256"]
    document = {
        "members": sha256, "accuracy": {"a": 0.7, "b": 0.6, "ensemble": 0.8},
        "temperature": made["temperature"], "uncertain_below": 0.999,
        "calibration": made["calibration"],
    }  # fmt: skip
    (tmp_path / "weights/ensemble.json").write_text(json.dumps(document))
    monkeypatch.setattr(weights, "BUNDLED", tmp_path / "weights")
    return sha256


def test_the_better_ensemble_opens_the_page_and_its_certainty_is_the_comparisons_too(
    app: AppTest, measured_together: dict[str, str]
):
    app.query_params.update({"example": "one", "compare": "true"})
    app.run()
    assert not app.exception
    assert app.selectbox(key="model").value == "ensemble"
    assert [text for text in app.text if "Together they are uncertain: " in text.value]
    (slider,) = app.select_slider
    slider.set_value(0.0).run()
    assert [text for text in app.text if "Together they say " in text.value]


def test_more_than_two_are_all(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("a", "b", "c"):
        (tmp_path / name).symlink_to(models / "sure")
    assert title("ensemble") == "Both"
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    assert title("ensemble") == "All"


def test_the_verdict_says_who_says_what():
    happy, sad = made_analysis([HAPPY]), made_analysis([SAD])
    sure_sad = dataclasses.replace(sad, uncertain_below=0.1)
    doubtful = dataclasses.replace(happy, uncertain_below=1.0)
    commit = "me/b@" + "c" * 40
    assert verdict({"a": happy, commit: happy}, 0) == "Both models say happy."
    assert (
        verdict({"a": happy, commit: doubtful}, 0)
        == "Both models say happy. me/b@ccccccc is uncertain."
    )
    assert verdict({"a": happy, "b": sure_sad}, 0) == "They disagree: a says happy, b says sad."
    assert (
        verdict({"a": doubtful, "b": sad}, 0)
        == "They disagree: a says happy, b says sad. Both models are uncertain."
    )
    assert (
        verdict({"a": doubtful, "b": doubtful, "c": happy}, 0)
        == "All 3 models say happy. a and b are uncertain."
    )
