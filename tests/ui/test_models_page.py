"""The Models page: every section from its file, and plain words where a file is absent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from fer_demo import faithfulness_charts, measured, model_charts, weights
from fer_demo.measured import Measured, bundled, peers
from fer_demo.types import EXPRESSIONS
from tests.conftest import ROOT
from tests.measurements import write_measurements

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


def page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(measured, "BUNDLED", folder)
    app = AppTest.from_file(str(PAGE), default_timeout=60).run()
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
    for command in ("evaluate", "calibrate", "explain", "evaluate --corruptions"):
        assert f"python -m training.{command}`" in said
    assert [m.value[3:] for m in app.markdown if m.value.startswith("## ")] == SECTIONS


def test_without_models_or_with_a_damaged_file_the_page_still_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "nothing to show yet" in page(tmp_path, monkeypatch).info[0].value
    write_measurements(tmp_path / "broken", ())
    (tmp_path / "broken/evaluation.json").write_text("{")
    assert "could not be read" in page(tmp_path, monkeypatch).error[0].value


def test_the_page_reads_where_the_weights_lie() -> None:
    assert measured.BUNDLED == weights.BUNDLED


def test_every_chart_states_a_finding_and_has_its_numbers_as_a_table(model: Measured) -> None:
    result, document = model.heads["ferplus7"], model.faithfulness
    assert document is not None
    assert model.calibration is not None
    ours = {"resnet18": model.heads["fer2013"]}
    for chart in (
        model_charts.accuracy(ours, peers()["fer2013"], "PublicTest", "FER2013"),
        model_charts.confusion(result, counts=False),
        model_charts.reliability(model.calibration),
        model_charts.risk_coverage(result),
        model_charts.corruptions(result),
        faithfulness_charts.faithfulness(document),
        faithfulness_charts.randomisation(document),
    ):
        assert any(letter.isdigit() for letter in chart.title) or "better" in chart.title
        assert chart.table
        assert all(row.keys() == chart.table[0].keys() for row in chart.table)
        assert chart.figure.data


def test_the_confusion_names_the_commonest_mistake(model: Measured) -> None:
    result = dict(model.heads["ferplus7"])
    matrix = [[90 if i == j else 0 for j in range(7)] for i in range(7)]
    fear, sad = EXPRESSIONS.index("fear"), EXPRESSIONS.index("sad")
    matrix[fear][sad] = 60
    chart = model_charts.confusion(result | {"confusion": matrix}, counts=True)
    assert chart.title.startswith("Most often mistaken: fear for sad, 40")
    assert chart.table[fear]["sad"] == "60"


@pytest.mark.parametrize(
    ("lows", "words"),
    [((0.1, 0.1, 0.1), "better than random on every measure"),
     ((0.1, -0.1, 0.1), "no better than random except on deletion and ROAD"),
     ((-0.1, -0.1, -0.1), "no better than random")],
)  # fmt: skip
def test_the_verdict_follows_the_intervals(lows: tuple[float, ...], words: str) -> None:
    names = ("deletion", "insertion", "road")
    figures = {
        name: {"mean": 0.2, "low": low, "high": 0.3} for name, low in zip(names, lows, strict=True)
    }
    document = {"default": "evidence", "gains": {"evidence": {"random": figures}}}
    assert faithfulness_charts.verdict(document) == f"The evidence map is {words}"


def test_peers_are_named_with_their_sources() -> None:
    for entries in peers().values():
        for peer in entries:
            assert 0 < peer["accuracy"] < 1
            assert peer["source"]
            assert peer["url"].startswith("https://")
