"""The Models page: every section from its file, and plain words where a file is absent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from fer_demo import (
    certainty_charts,
    error_charts,
    faithfulness_charts,
    measured,
    model_charts,
    robustness_charts,
)
from fer_demo.measured import Measured, bundled, peers
from fer_demo.types import EXPRESSIONS
from fer_demo.ui import resources
from tests.conftest import ROOT
from tests.measurements import SHA256, write_measurements
from tests.ui.conftest import TIMEOUT
from training.data import read_split
from training.votes import ferplus7_label

PAGE = ROOT / "fer_demo/ui/models.py"
SECTIONS = [
    "How good", "Where it errs", "How sure", "How robust", "How honest the heat maps are",
    "Data and terms",
]  # fmt: skip


@pytest.fixture(scope="session")
def measurements(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    write_measurements(folder / "resnet18")
    return folder


@pytest.fixture(scope="session")
def model(measurements: Path) -> Measured:
    return bundled(measurements)[0]


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


def test_every_chart_states_a_finding_and_has_its_numbers_as_a_table(model: Measured) -> None:
    result, document = model.heads["ferplus7"], model.faithfulness
    assert document is not None
    assert model.calibration is not None
    assert model.bench is not None
    ours = {"resnet18": (model.heads["fer2013"], model.split)}
    for chart in (
        model_charts.accuracy(ours, peers()["fer2013"], "FER2013"),
        model_charts.latency({"resnet18": (model.bench, 0.63)}, peers()["fer2013"]),
        error_charts.confusion(result, counts=False),
        robustness_charts.corruptions(result),
        robustness_charts.small_faces(result),
        robustness_charts.turned_faces(result),
        certainty_charts.reliability(model.calibration),
        certainty_charts.risk_coverage(result),
        faithfulness_charts.faithfulness(document, "influence"),
        faithfulness_charts.randomisation(document),
    ):
        assert any(letter.isdigit() for letter in chart.title) or "better" in chart.title
        assert chart.table
        assert all(row.keys() == chart.table[0].keys() for row in chart.table)
        assert chart.figure.data


def test_the_hardest_corruption_does_the_worst_at_any_level(model: Measured) -> None:
    result = dict(model.heads["ferplus7"])
    spoiled = {name: [0.8, 0.7, 0.6] for name in result["corruptions"]}
    chart = robustness_charts.corruptions(
        result | {"corruptions": spoiled | {"blur": [0.8, 0.51, 0.65]}, "corruptions_clean": 0.9}
    )
    assert chart.title.startswith(f"Hardest: medium blur, {model_charts.share(0.51, 0)}, against ")


def test_small_and_turned_faces_are_held_against_the_others(model: Measured) -> None:
    result = model.heads["ferplus7"] | {
        "small_faces": {"48 px": {"n": 900, "accuracy": 0.9}, "9 px": {"n": 900, "accuracy": 0.5}},
        "pose": {
            "yaw": {
                "below 0.1": {"n": 400, "accuracy": 0.8},
                "0.1 to 0.2": {"n": 100, "accuracy": 0.7},
                "0.2 and more": {"n": 0, "accuracy": None},
            }
        },
    }
    small, turned = robustness_charts.small_faces(result), robustness_charts.turned_faces(result)
    percent = {share: model_charts.share(share, 0) for share in (0.5, 0.7, 0.8, 0.9)}
    assert small.title == (
        f"Faces 9 px wide: {percent[0.5]} named as people did, against {percent[0.9]} at 48 px"
    )
    assert [row["±"] for row in small.table] == ["1.0", "1.7"]
    assert turned.title == (
        f"The most turned faces: {percent[0.7]}, against {percent[0.8]} of the most frontal"
    )
    assert [row["Turned"] for row in turned.table] == ["below 0.1", "0.1 to 0.2"], "none is empty"


def test_the_confusion_names_the_commonest_mistake(model: Measured) -> None:
    result = dict(model.heads["ferplus7"])
    matrix = [[90 if i == j else 0 for j in range(7)] for i in range(7)]
    fear, sad = EXPRESSIONS.index("fear"), EXPRESSIONS.index("sad")
    matrix[fear][sad] = 60
    chart = error_charts.confusion(result | {"confusion": matrix}, counts=True)
    assert chart.title.startswith("Most often mistaken: fear for sad, 40")
    assert chart.table[fear]["sad"] == "60"


@pytest.mark.parametrize(
    ("lows", "words"),
    [((0.1, 0.1, 0.1), "better than random maps on every measure"),
     ((0.1, -0.1, 0.1), "no better than random maps except on deletion and ROAD"),
     ((-0.1, -0.1, -0.1), "no better than random maps"),
     ((-0.1, -0.4, -0.1), "no better than random maps; worse than random maps on insertion")],
)  # fmt: skip
def test_the_verdict_follows_the_intervals(lows: tuple[float, ...], words: str) -> None:
    names = ("deletion", "insertion", "road")
    figures = {
        name: {"mean": low + 0.1, "low": low, "high": low + 0.2}
        for name, low in zip(names, lows, strict=True)
    }
    document = {"gains": {"evidence": {"random": figures}}}
    assert faithfulness_charts.verdict(document, "evidence") == f"Evidence is {words}"


def test_peers_are_named_with_their_sources() -> None:
    for entries in peers().values():
        for peer in entries:
            assert 0 < peer["accuracy"] < 1
            assert peer["source"]
            assert peer["measured_by"]
            assert peer["url"].startswith("https://")


def test_a_cell_is_told_along_its_row_and_down_its_column(model: Measured) -> None:
    result = dict(model.heads["ferplus7"])
    matrix = [[90 if i == j else 0 for j in range(7)] for i in range(7)]
    fear, sad = EXPRESSIONS.index("fear"), EXPRESSIONS.index("sad")
    matrix[fear][sad], matrix[sad][fear] = 10, 30
    result["confusion"] = matrix
    said = error_charts.cell(result, "fear", "sad").replace("\N{NO-BREAK SPACE}", " ")
    assert "Of 100 pictures that people called fear, the model called 10 (10 %) sad." in said
    assert "10 % of its 100 answers of sad" in said
    assert "30 of 120 pictures of sad were called fear" in said
    right = error_charts.cell(result, "fear", "fear").replace("\N{NO-BREAK SPACE}", " ")
    assert "90 rightly: a recall of 90 %" in right
    assert "Of its 120 answers of fear, 75 % are right" in right


def test_the_worst_are_those_found_least(model: Measured) -> None:
    result = {
        "per_class": {
            "sad": {"n": 100, "recall": 0.5}, "fear": {"n": 25, "recall": 0.2},
            "contempt": {"n": 0, "recall": 0.0}, "happy": {"n": 100, "recall": 0.9},
        },
        "confusion": [[50, 30, 0, 20], [15, 5, 0, 5], [0, 0, 0, 0], [10, 0, 0, 90]],
    }  # fmt: skip
    first, second = (
        sentence.replace("\N{NO-BREAK SPACE}", " ")
        for sentence in error_charts.worst_known(result, 2)
    )
    assert first == (
        "**Fear**: 20 % are found (of 25 pictures, so give or take 8 points); 60 % are called sad."
    )
    assert second.startswith("**Sad**")


def test_figures_of_other_weights_count_as_absent(tmp_path: Path) -> None:
    write_measurements(tmp_path / "old")
    manifest = {"files": {"model.safetensors": {"sha256": "1" * 64, "size": 1}}}
    (tmp_path / "old/manifest.json").write_text(json.dumps(manifest))
    (model,) = bundled(tmp_path)
    assert not model.heads
    assert model.faithfulness is None
    assert model.outside is None
    assert model.bench is None


def measure_together(folder: Path) -> None:
    """Models a and b, and the two as one."""
    for name in ("a", "b"):
        write_measurements(folder / name)
    single = json.loads((folder / "a/evaluation.json").read_text())
    calibration = json.loads((folder / "a/config.json").read_text())["fer_demo"]
    joint = {
        "members": {"a": SHA256, "b": SHA256}, "temperature": calibration["temperature"],
        "uncertain_below": 0.5, "calibration": calibration["calibration"],
    }  # fmt: skip
    (folder / "ensemble.json").write_text(json.dumps(joint))
    single["weights"] = {"a": SHA256, "b": SHA256}
    single["results"] = {"ensemble": single["results"]["a"]}
    (folder / "evaluation.json").write_text(json.dumps(single))


def test_several_models_together_stand_beside_the_single_ones(tmp_path: Path) -> None:
    measure_together(tmp_path)
    a, b, together = bundled(tmp_path)
    assert (a.name, b.name, together.name) == ("a", "b", "ensemble")
    assert together.heads["fer2013"]["accuracy"] == a.heads["fer2013"]["accuracy"]
    assert together.calibration is not None
    path = tmp_path / "evaluation.json"
    other = json.loads(path.read_text())
    other["weights"]["a"] = "1" * 64
    path.write_text(json.dumps(other))
    assert not bundled(tmp_path)[2].heads


def test_the_page_shows_several_models_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure_together(tmp_path)
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
    measure_together(tmp_path)
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


def test_a_model_measured_elsewhere_says_where(model: Measured) -> None:
    ours = {"one": (model.heads["fer2013"], "PublicTest"), "two": (model.heads["fer2013"], "mine")}
    chart = model_charts.accuracy(ours, peers()["fer2013"], "FER2013")
    where = {row["Model"]: row["Measured on"] for row in chart.table}
    assert where["one (this app)"] == "PublicTest"
    assert where["two (this app)"] == "mine"


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


def test_latency_draws_whom_the_same_command_timed(model: Measured) -> None:
    assert model.bench is not None
    chart = model_charts.latency({"resnet18": (model.bench, 0.7)}, peers()["fer2013"])
    assert [row["Model"] for row in chart.table] == ["resnet18 (this app)", "fer 25.10.3"]
    assert "resnet18 reads a photo in 90 ms" in chart.title
    alone = {**model.bench, "photo": {"photo_ms": 90.0, "fer_photo_ms": None}}
    chart = model_charts.latency({"resnet18": (alone, 0.7)}, peers()["fer2013"])
    assert [row["Model"] for row in chart.table] == ["resnet18 (this app)"]


def test_the_sentence_of_worth_warns_of_a_map_that_ignores_the_weights(model: Measured) -> None:
    document = model.faithfulness
    assert document is not None
    assert "trust it less" not in (faithfulness_charts.worth(document, "influence") or "")
    assert "trust it less" in (faithfulness_charts.worth(document, "layer_cam") or "")
    assert "trust it less" not in (faithfulness_charts.worth(document, "occlusion") or "")
    assert faithfulness_charts.worth(document, "unknown") is None


def test_what_it_was_not_made_for_is_told_beside_the_usual(model: Measured) -> None:
    assert model.outside is not None
    title, rows = robustness_charts.outside(model.outside)
    assert "upside down, 2\N{NO-BREAK SPACE}% named without a warning" in title
    assert [row["Kind"] for row in rows] == ["photographs (50)", "upside down (50)"]
    assert [row["Named, no warning"] for row in rows] == [
        "45\N{NO-BREAK SPACE}%",
        "2\N{NO-BREAK SPACE}%",
    ]
    assert [row["Of those right"] for row in rows] == ["80\N{NO-BREAK SPACE}%", "–"]
