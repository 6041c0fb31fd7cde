"""The Models page: every section from its file, and plain words where a file is absent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from fer_demo import measured, model_charts
from fer_demo.measured import Measured
from fer_demo.ui import resources
from tests.conftest import ROOT
from tests.measurements import write_measurements, write_measurements_of_two
from tests.ui.conftest import TIMEOUT
from training.data import read_split
from training.votes import ferplus7_label

PAGE = ROOT / "fer_demo/ui/models.py"
SECTIONS = [
    "How good", "Where it errs", "How sure", "How robust", "How honest the heat maps are",
    "Data and terms",
]  # fmt: skip


@pytest.fixture
def settings_anew() -> Iterator[None]:
    """The settings are read in this test, and again after it."""
    resources.settings.clear()
    yield
    resources.settings.clear()


def page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(measured, "BUNDLED", folder)
    app = AppTest.from_file(str(PAGE), default_timeout=TIMEOUT).run()
    assert not app.exception
    return app


def text(app: AppTest) -> str:
    return "\n".join(element.value for element in [*app.markdown, *app.info, *app.caption])


def test_the_page_tells_its_story_in_order(
    measurements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = page(measurements, monkeypatch)
    titles = [m.value[3:] for m in app.markdown if m.value.startswith("## ")]
    assert titles == SECTIONS
    assert app.markdown[0].value == "# Models", "nothing is drawn by accident"
    assert not app.info
    results = json.loads((measurements / "resnet18/evaluation.json").read_text())["results"]
    accuracy = results["resnet18"]["fer2013"]["accuracy"]
    assert model_charts.share(accuracy) in text(app)


def test_moving_the_coverage_shows_both_figures(
    measurements: Path, model: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = page(measurements, monkeypatch)
    app.select_slider(key="coverage").set_value(40).run()
    right = model.heads["ferplus7"]["risk_coverage"]["accuracy"]["40"]
    assert f"surest 40 %: right {model_charts.share(right)}" in text(app)


def test_what_was_not_measured_is_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_measurements(tmp_path / "bare", ())
    config = json.loads((tmp_path / "bare/config.json").read_text())
    del config["fer_demo"]["calibration"]
    (tmp_path / "bare/config.json").write_text(json.dumps(config))
    app = page(tmp_path, monkeypatch)
    said = " ".join(info.value for info in app.info)
    for command in (
        "evaluate", "calibrate", "explain", "outside",
        "evaluate --corruptions", "evaluate --small-faces", "evaluate --by-pose",
    ):  # fmt: skip
        assert f"python -m training.{command}`" in said
    assert [m.value[3:] for m in app.markdown if m.value.startswith("## ")] == SECTIONS


def test_without_models_or_with_a_damaged_file_the_page_still_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "nothing to show yet" in page(tmp_path, monkeypatch).info[0].value
    write_measurements(tmp_path / "broken", ())
    (tmp_path / "broken/evaluation.json").write_text("{")
    assert "could not be read" in page(tmp_path, monkeypatch).error[0].value


def test_the_page_shows_several_models_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_measurements_of_two(tmp_path)
    app = page(tmp_path, monkeypatch)
    (table, *_) = app.table
    assert sorted(table.value["Model"]) == ["Both", "a", "b"]
    choice = app.selectbox(key="measured-model")
    choice.set_value("ensemble").run()
    assert not app.exception
    alone = "This is measured of each model alone. Choose one above."
    assert alone in [info.value for info in app.info]
    app.selectbox(key="measured-model").set_value("a").run()
    assert not app.info


def test_the_limit_of_an_answer_is_said_as_precisely_as_on_the_photo_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_measurements(tmp_path / "a")
    path = tmp_path / "a/config.json"
    config = json.loads(path.read_text())
    config["fer_demo"]["uncertain_below"] = 0.775
    path.write_text(json.dumps(config))
    said = text(page(tmp_path, monkeypatch))
    assert "This model answers from a confidence of 77.5\N{NO-BREAK SPACE}% on" in said


def test_figures_are_said_to_be_of_the_bundled_weights_where_others_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings_anew: None
) -> None:
    write_measurements_of_two(tmp_path)
    monkeypatch.setenv("FER_HUB_REPOS", "me/fer-tiny@v1")
    app = page(tmp_path, monkeypatch)
    (said,) = [info.value for info in app.info]
    assert said.startswith("These are the figures of the weights that are bundled with the app.")
    assert "`me/fer-tiny@v1`" in said
    assert "This model answers from a confidence of" in text(app)
    # One is in use, and two are measured here.
    assert sorted(app.table[0].value["Model"]) == ["Both", "a", "b"]
    assert "Both" in app.selectbox(key="measured-model").options


def test_the_best_model_comes_first_and_its_own_figures_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, right in (("a", 0.5), ("b", 0.7)):
        write_measurements(tmp_path / name)
        path = tmp_path / name / "evaluation.json"
        document = json.loads(path.read_text())
        document["results"][name]["ferplus7"]["accuracy"] = right
        path.write_text(json.dumps(document))
    app = page(tmp_path, monkeypatch)
    assert app.selectbox(key="measured-model").value == "b"
    assert list(app.table[0].value["Model"]) == ["b", "a"]
    clean = "against {} on the clean pictures"
    assert clean.format(model_charts.share(0.7, 0)) in text(app)
    app.selectbox(key="measured-model").set_value("a").run()
    assert clean.format(model_charts.share(0.5, 0)) in text(app)


def test_pictures_that_were_trained_on_are_told_and_counted_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_measurements(tmp_path / "a")
    assert "training part" not in text(page(tmp_path, monkeypatch))
    path = tmp_path / "a/evaluation.json"
    document = json.loads(path.read_text())
    result = document["results"]["a"]["fer2013"]
    result["unseen"] = result | {"n": result["n"] * 3 // 4, "accuracy": 0.123}
    path.write_text(json.dumps(document))
    app = page(tmp_path, monkeypatch)
    assert f"{model_charts.share(0.25)} of these pictures are in FER2013's training" in text(app)
    (found,) = (t.value for t in app.table if "Not in training" in t.value)
    assert model_charts.share(0.123) in found["Not in training"].iloc[0]
    assert found["Not in training"].iloc[1] == "not measured"


def test_the_share_on_which_the_labels_agree_is_what_the_data_say(
    fer2013: Path, measurements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = read_split(fer2013, "public_test")
    agree = float((faces.label == ferplus7_label(faces.votes)).mean())
    assert f"agree on only {model_charts.share(agree, 0)} of" in text(
        page(measurements, monkeypatch)
    )


def test_another_heat_map_is_judged_at_a_click(
    measurements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = page(measurements, monkeypatch)
    findings = [m.value for m in app.markdown if m.value.startswith("#### ")]
    assert any(words.startswith("#### Influence is ") for words in findings)
    app.button_group(key="faithfulness-method").set_value("occlusion").run()
    findings = [m.value for m in app.markdown if m.value.startswith("#### ")]
    assert any(words.startswith("#### Occlusion is ") for words in findings)
