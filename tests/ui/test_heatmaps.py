"""Heat maps and certainty on the Photo page, in-process, on tiny networks."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from fer_demo import measured, weights
from fer_demo.types import EXPRESSIONS
from fer_demo.ui import heatmaps, resources
from tests.conftest import ROOT
from tests.factories import write_weights_folder
from tests.measurements import write_measurements
from tests.ui.conftest import TIMEOUT
from tests.ui.photo_page import alts, captions


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tiny model with everything that is measured of a model."""
    folder = tmp_path_factory.mktemp("calibrated")
    write_measurements(folder / "made")
    calibration = json.loads((folder / "made/config.json").read_text())["fer_demo"]["calibration"]
    bins = len(calibration["ferplus7"]["edges"]) - 1
    for answers in calibration["ferplus7"]["answers"].values():
        answers |= {"n": [100] * bins, "right": [80] * bins}
    write_weights_folder(
        folder / "tiny",
        seed=1,
        config=lambda config: config["fer_demo"].update(
            calibration=calibration, uncertain_below=0.3
        ),
    )
    manifest = json.loads((folder / "tiny/manifest.json").read_text())
    document = json.loads((folder / "made/faithfulness.json").read_text())
    document["sha256"] = manifest["files"]["model.safetensors"]["sha256"]
    (folder / "tiny/faithfulness.json").write_text(json.dumps(document))
    for file in (folder / "made").iterdir():
        file.unlink()
    (folder / "made").rmdir()
    return folder


@pytest.fixture
def one(
    calibrated: Path, good_detector: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AppTest]:
    """The page after a click on the first example."""
    monkeypatch.setattr(weights, "BUNDLED", calibrated)
    monkeypatch.setattr(measured, "BUNDLED", calibrated)
    resources.settings.clear()
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=TIMEOUT).run()
    app.button(key="example-one").click().run()
    assert not app.exception
    yield app
    resources.settings.clear()


def maps(app: AppTest) -> dict[tuple[str, str, bytes, int], object]:
    return app.session_state["gallery"].picture.maps


def alt(app: AppTest) -> str:
    (found,) = [words for words in alts(app) if words.startswith("Face 1 with")]
    return found


def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is computed from now on."""
    calls: list[str] = []
    compute = heatmaps._compute

    def counting(picture: object, model: str, method: str, crop: object, k: int) -> object:
        calls.append(f"{method} {EXPRESSIONS[k]}")
        return compute(picture, model, method, crop, k)

    monkeypatch.setattr(heatmaps, "_compute", counting)
    return calls


def test_a_map_is_computed_when_it_is_asked_for_and_never_again(one, monkeypatch):
    assert [(method, kind) for _, method, _, kind in maps(one)] == [
        ("influence", EXPRESSIONS.index(one.button_group(key="face1").value))
    ]
    first, calls = one.button_group(key="face1").value, computed(monkeypatch)
    other = "fear" if first != "fear" else "sad"
    for expression in (other, first, other):
        one.button_group(key="face1").set_value(expression).run()
    one.slider(key="opacity").set_value(20).run()
    one.slider(key="threshold").set_value(0.5).run()
    assert calls == [f"influence {other}"]


@pytest.mark.parametrize("method", ["influence", "layer_cam"])
def test_the_mean_of_several_models_and_each_of_them_share_their_maps(app, monkeypatch, method):
    app.run().button(key="example-one").click().run()
    drawn, find = [], getattr(heatmaps.GradientMaps, method)

    def counting(network: object, *given: object) -> object:
        drawn.append(network)
        return find(network, *given)

    monkeypatch.setattr(heatmaps.GradientMaps, method, counting)
    app.selectbox(key="model").set_value("ensemble").run()
    app.radio(key="map-method").set_value(method).run()
    app.button_group(key="face1").set_value("fear").run()
    first = len(drawn)
    assert first >= 2
    for name in ("sure", "unsure"):
        app.selectbox(key="model").set_value(name).run()
        app.button_group(key="face1").set_value("fear").run()
    fear = [key for key in maps(app) if key[1] == method and key[3] == EXPRESSIONS.index("fear")]
    assert {name for name, *_ in fear} == {"sure", "unsure", "ensemble"}
    assert len({id(network) for network in drawn}) == 2
    kinds = {key[3] for key in maps(app) if key[1] == method}
    assert len(drawn) <= 2 * len(kinds), "each network once for an expression"


def test_occlusion_serves_all_expressions_at_once(one, monkeypatch):
    calls = computed(monkeypatch)
    one.radio(key="map-method").set_value("occlusion").run()
    assert len(calls) == 1
    one.button_group(key="face1").set_value("disgust").run()
    one.radio(key="map-method").set_value("evidence").run()
    one.radio(key="map-method").set_value("occlusion").run()
    assert len(calls) == 1
    assert not one.exception


def test_the_method_is_said_with_what_it_shows_costs_and_is_worth(one):
    captions_of = one.radio(key="map-method").proto.captions
    assert len(captions_of) == len(heatmaps.METHODS)
    assert all("for each face." in words or "Free" in words for words in captions_of)
    assert "On 100 test pictures it was better than" in captions(one)
    one.radio(key="map-method").set_value("layer_cam").run()
    assert "so trust it less" in captions(one)


@pytest.mark.parametrize("damaged", ["{", "[]"])
def test_without_a_readable_measurement_the_maps_are_shown_and_their_worth_is_not(
    calibrated, good_detector, monkeypatch, tmp_path, damaged
):
    copy = shutil.copytree(calibrated, tmp_path / "weights")
    (copy / "tiny/faithfulness.json").write_text(damaged)
    monkeypatch.setattr(weights, "BUNDLED", copy)
    monkeypatch.setattr(measured, "BUNDLED", copy)
    heatmaps._measured.clear()
    resources.settings.clear()
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=TIMEOUT).run()
    app.button(key="example-one").click().run()
    assert not app.exception
    assert maps(app)
    assert "test pictures it was better" not in captions(app)
    heatmaps._measured.clear()
    resources.settings.clear()


def test_an_expression_is_held_against_another(one):
    one.button_group(key="face1").set_value("happy").run()
    one.selectbox(key="map-against").set_value("surprise").run()
    assert alt(one) == "Face 1 with the Influence map for happy and not surprise."
    assert "Happy and not surprise" in captions(one)
    one.button_group(key="face1").set_value("surprise").run()
    said = alt(one).removeprefix("Face 1 with the Influence map for surprise and not ").rstrip(".")
    assert said in set(EXPRESSIONS) - {"surprise"}
    one.radio(key="map-method").set_value("layer_cam").run()
    assert "against −" in captions(one), "a difference has two signs"


def test_support_alone_has_a_scale_from_zero(one):
    one.radio(key="map-method").set_value("layer_cam").run()
    assert "against −" not in captions(one)


def test_a_map_too_coarse_to_say_where_says_so(one):
    assert "Too few places" not in captions(one)
    one.radio(key="map-method").set_value("evidence").run()
    one.toggle(key="map-grid").set_value(True).run()
    assert "3 x 3 places" in captions(one)
    assert "Too few places to say where" in captions(one)


def test_regions_are_summed_up_where_landmarks_are_known(one):
    before = len(one.get("plotly_chart"))
    one.toggle(key="map-regions").set_value(True).run()
    assert len(one.get("plotly_chart")) == before + 1
    assert "of the map for" in captions(one)


def test_a_face_without_landmarks_has_no_regions(app):
    app.run().button(key="example-one").click().run()
    app.toggle(key="map-regions").set_value(True).run()
    assert "No regions" in captions(app)


def test_beside_a_prediction_stands_how_often_such_answers_were_right(one):
    (said,) = [words for words in captions(one).splitlines() if "at this confidence" in words]
    assert '" at this confidence: right on 80 in 100 test pictures.' in said


def test_moving_the_certainty_shows_both_figures_and_changes_the_answers_and_files(
    one, monkeypatch
):
    made = {}
    monkeypatch.setattr(
        st, "download_button", lambda label, make, *_, **__: made.update({label: make})
    )
    (slider,) = one.select_slider
    heading = next(m.value for m in one.markdown if m.value.startswith("##### "))
    assert "Uncertain" not in heading
    for limit, uncertain in ((0.9, "true"), (0.0, "false")):
        slider.set_value(limit).run()
        both = [m.value for m in one.markdown if "Answers for **" in m.value]
        assert "is right in **" in both[0]
        said = next(m.value for m in one.markdown if m.value.startswith("##### "))
        assert said == heading if limit == 0 else said.startswith("##### Uncertain: ")
        (row,) = csv.DictReader(io.StringIO(made["CSV"]().decode("utf-8-sig")))
        assert (row["uncertain"], float(row["uncertain_below"])) == (uncertain, limit)


def test_without_measurements_nothing_is_claimed(app):
    app.run().button(key="example-one").click().run()
    assert not app.exception
    assert "test pictures" not in captions(app)
    assert not app.select_slider
