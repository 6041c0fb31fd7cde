"""What was measured, as it is read from the files beside the weights."""

from __future__ import annotations

import json
from pathlib import Path

from fer_demo import model_charts
from fer_demo.measured import Measured, bundled, peers
from tests.measurements import write_measurements, write_measurements_of_two


def test_peers_are_named_with_their_sources() -> None:
    for entries in peers().values():
        for peer in entries:
            assert 0 < peer["accuracy"] < 1
            assert peer["source"]
            assert peer["measured_by"]
            assert peer["url"].startswith("https://")


def test_figures_of_other_weights_count_as_absent(tmp_path: Path) -> None:
    write_measurements(tmp_path / "old")
    manifest = {"files": {"model.safetensors": {"sha256": "1" * 64, "size": 1}}}
    (tmp_path / "old/manifest.json").write_text(json.dumps(manifest))
    (model,) = bundled(tmp_path)
    assert not model.heads
    assert model.faithfulness is None
    assert model.outside is None
    assert model.bench is None


def test_several_models_together_stand_beside_the_single_ones(tmp_path: Path) -> None:
    write_measurements_of_two(tmp_path)
    a, b, together = bundled(tmp_path)
    assert (a.name, b.name, together.name) == ("a", "b", "ensemble")
    assert together.heads["fer2013"]["accuracy"] == a.heads["fer2013"]["accuracy"]
    assert together.calibration is not None
    path = tmp_path / "evaluation.json"
    other = json.loads(path.read_text())
    other["weights"]["a"] = "1" * 64
    path.write_text(json.dumps(other))
    assert not bundled(tmp_path)[2].heads


def test_pictures_that_are_no_official_split_are_not_called_one(tmp_path: Path) -> None:
    write_measurements(tmp_path / "one")
    path = tmp_path / "one/evaluation.json"
    document = json.loads(path.read_text())
    assert bundled(tmp_path)[0].split == "PublicTest"
    path.write_text(json.dumps(document | {"data": "archive", "caution": "It is two sets."}))
    assert bundled(tmp_path)[0].split == "archive, not an official split"


def test_a_model_measured_elsewhere_says_where(model: Measured) -> None:
    ours = {"one": (model.heads["fer2013"], "PublicTest"), "two": (model.heads["fer2013"], "mine")}
    chart = model_charts.accuracy(ours, peers()["fer2013"], "FER2013")
    where = {row["Model"]: row["Measured on"] for row in chart.table}
    assert where["one (this app)"] == "PublicTest"
    assert where["two (this app)"] == "mine"
