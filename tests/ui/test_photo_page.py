"""Every state of the Photo page, in-process, on tiny networks and the simpler detector."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from fer_demo import pipeline
from fer_demo.faces import FaceDetector
from fer_demo.types import EXPRESSIONS
from fer_demo.ui import resources
from fer_demo.ui.layout import NOTICE, NOTICE_TITLE
from tests.conftest import ROOT
from tests.ui.conftest import TIMEOUT, example_png, wall_png
from tests.ui.photo_page import alts, click, headings, pictures, texts, upload


def test_an_empty_page_offers_three_ways_in_below_the_notice(app):
    app.run()
    assert not app.exception
    kinds = [(element.type, getattr(element, "value", None)) for element in app.main]
    order = [value for _, value in kinds]
    assert order.index(NOTICE_TITLE) < order.index(NOTICE)
    first_control = next(i for i, (kind, _) in enumerate(kinds) if kind == "file_uploader")
    assert order.index(NOTICE) < first_control
    assert [b.label for b in app.button] == [
        "Take a snapshot", "One face", "Several faces", "A dark one",
    ]  # fmt: skip
    assert not app.expander
    assert not app.get("camera_input")
    assert not app.get("download_button")


def test_who_read_the_whole_notice_reads_its_first_line_above_results_and_who_came_by_a_link_all(
    app: AppTest,
) -> None:
    def told() -> list[bool]:
        written = [text.value for text in app.markdown]
        return [NOTICE_TITLE in written, NOTICE in written]

    app.query_params["example"] = "one"
    assert headings(app.run())
    assert told() == [True, True]
    click(app, "clear")
    assert told() == [True, True]
    click(app, "example-one")
    assert headings(app)
    assert told() == [True, False]


def test_an_example_works_at_one_click_and_is_in_the_address(one):
    assert not one.exception
    assert len(headings(one)) == 1
    assert one.query_params["example"] in ("one", ["one"])
    assert [b.label for b in one.get("download_button")] == [
        "Picture (PNG)", "CSV", "JSON", "ZIP of everything",
    ]  # fmt: skip


def test_a_link_reproduces_the_view(app):
    app.query_params.update(
        {"example": "one", "threshold": "0.5", "opacity": "80", "grey": "true", "face1": "fear"}
    )
    app.run()
    assert len(headings(app)) == 1
    assert app.slider(key="threshold").value == 0.5
    assert app.slider(key="opacity").value == 80
    assert app.toggle(key="grey").value is True
    assert "Face 1 with the Influence map for fear." in alts(app)


def test_a_link_with_nonsense_opens_the_page(app):
    app.query_params.update({"example": "none", "threshold": "x", "opacity": "7000", "page": "-1"})
    app.run()
    assert not app.exception
    assert not headings(app)


def test_faces_are_numbered_from_left_to_right(app):
    click(app.run(), "example-several")
    assert len(headings(app)) >= 3
    analysis = next(iter(pictures(app).picture.analyses.values()))
    lefts = analysis.faces.xyxy[:, 0]
    assert (lefts[1:] >= lefts[:-1]).all()
    assert [alt for alt in alts(app) if alt.startswith("Face 1")]


def test_every_picture_and_chart_has_words(one):
    assert all(alts(one))
    assert any("The picture with 1 face" in alt for alt in alts(one))
    charts = [element.proto for element in one.get("plotly_chart")]
    assert len(charts) == 1
    assert all(label in str(charts[0]) for label in EXPRESSIONS)


def test_uncertain_is_said_with_the_two_nearest(one):
    assert not headings(one)[0].startswith("Uncertain")
    one.selectbox(key="model").set_value("unsure").run()
    assert headings(one)[0].startswith("Uncertain: ")
    assert " or " in headings(one)[0]


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which model reads a picture from now on."""
    read = []
    analyse, read_by = pipeline.analyse, pipeline.read_by

    def watch(photo, detector, classifier, **options):
        read.append(classifier.name)
        return analyse(photo, detector, classifier, **options)

    def watch_another(classifier, analysis):
        read.append(classifier.name)
        return read_by(classifier, analysis)

    monkeypatch.setattr(pipeline, "analyse", watch)  # a page is run anew, and imports it
    monkeypatch.setattr(pipeline, "read_by", watch_another)
    return read


def test_picking_a_class_or_moving_a_slider_reads_no_face_again(analysed, one, monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("the network ran")

    assert analysed == ["sure"]
    monkeypatch.setattr(resources.classifier("sure"), "predict", refuse)
    other = next(x for x in EXPRESSIONS if f"map for {x}." not in "".join(alts(one)))
    one.button_group(key="face1").set_value(other).run()
    assert f"Face 1 with the Influence map for {other}." in alts(one)
    one.slider(key="opacity").set_value(20).run()
    one.toggle(key="grey").set_value(True).run()
    assert not one.exception
    assert f"Face 1 with the Influence map for {other}." in alts(one)
    assert analysed == ["sure"]


def test_a_choice_of_class_is_not_kept_for_another_answer(one):
    one.button_group(key="face1").set_value("fear").run()
    one.query_params["face1"] = "fear"  # as a browser does at once
    one.run()
    assert "Face 1 with the Influence map for fear." in alts(one)
    one.selectbox(key="model").set_value("unsure").run()
    assert "face1" not in one.query_params
    top = next(iter(pictures(one).picture.analyses.values())).predictions.top[0]
    assert f"Face 1 with the Influence map for {EXPRESSIONS[top]}." in alts(one)


def test_going_back_to_a_setting_computes_nothing(analysed, one):
    first = headings(one)
    one.selectbox(key="model").set_value("unsure").run()
    one.selectbox(key="model").set_value("sure").run()
    assert headings(one) == first
    assert analysed == ["sure", "unsure"]


def test_results_survive_a_change_of_page_and_a_rerun_until_clear(one):
    before = headings(one)
    one.switch_page("fer_demo/ui/about.py").run()
    assert not one.exception
    assert not headings(one)
    one.switch_page("fer_demo/ui/photo.py").run()
    one.run()
    assert headings(one) == before
    click(one, "clear")
    assert not headings(one)
    assert not pictures(one).pictures
    assert "figures" not in one.session_state
    assert "cards_for" not in one.session_state
    assert "example" not in one.query_params
    assert [b.label for b in one.button][1] == "One face"


def test_no_face_offers_the_whole_picture_and_a_way_back(app):
    upload(app.run(), ("wall.png", wall_png()))
    assert "No face found in wall.png." in texts(app)
    click(app, "whole")
    assert len(headings(app)) == 1
    assert pictures(app).picture.whole
    click(app, "unwhole")
    assert "No face found in wall.png." in texts(app)


def test_fifty_faces_come_in_pages_and_more_are_counted(app, monkeypatch):
    click(app.run(), "example-several")
    picture = pictures(app).picture
    picture.added = tuple(
        (float(x), float(y), x + 30.0, y + 30.0)
        for x in range(5, 900, 70) for y in range(5, 600, 100)
    )  # fmt: skip
    app.run()
    assert len(headings(app)) == 5
    assert app.get("pagination")
    assert any("Cards of faces 1 to 5 of 50" in c.value for c in app.caption)
    assert any("more were left out" in info.value for info in app.info)
    app.pagination(key="page").set_value(10).run()
    assert any("Cards of faces 46 to 50 of 50" in c.value for c in app.caption)
    searched = []
    detect = FaceDetector.detect
    monkeypatch.setattr(
        FaceDetector, "detect", lambda *given: (searched.append(given), detect(*given))[1]
    )
    app.selectbox(key="model").set_value("unsure").run()
    assert any("Cards of faces 46 to 50 of 50" in c.value for c in app.caption)
    assert not searched, "the faces are the same"
    app.slider(key="threshold").set_value(0.9).run()
    assert any("Cards of faces 1 to 5 of" in c.value for c in app.caption)
    assert searched


def test_the_simpler_detector_is_said(one):
    assert any("simpler face detector" in info.value for info in one.info)


def test_the_better_detector_needs_no_words(models, good_detector):
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=TIMEOUT)
    click(app.run(), "example-several")
    assert not app.info
    assert len(pictures(app).picture.analyses.popitem()[1]) == 6


def test_the_camera_is_mounted_after_a_click_only(app):
    click(app.run(), "camera-button")
    assert len(app.get("camera_input")) == 1
    app.camera_input[0].set_value(("snap.jpg", example_png("one"), "image/jpeg")).run()
    assert not app.exception
    assert len(headings(app)) == 1
    assert not app.get("camera_input"), "the camera is closed after the picture"


def test_the_camera_stays_closed_on_coming_back_to_the_page(app):
    click(app.run(), "camera-button")
    app.run()
    assert app.get("camera_input"), "on the same page it stays open"
    app.switch_page("fer_demo/ui/models.py").run()
    app.switch_page("fer_demo/ui/photo.py").run()
    assert not app.get("camera_input")
    assert app.button(key="camera-button").label == "Take a snapshot"
