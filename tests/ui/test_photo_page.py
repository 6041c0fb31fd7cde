"""Every state of the Photo page, in-process, on tiny networks and the simpler detector."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import streamlit as st
from streamlit import config
from streamlit.runtime.secrets import Secrets
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import NumberInput

from fer_demo import pipeline, weights
from fer_demo.types import EXPRESSIONS
from fer_demo.ui import gallery as gallery_module
from fer_demo.ui import resources
from fer_demo.ui.layout import NOTICE, NOTICE_TITLE
from fer_demo.ui.picture import add_box
from tests.conftest import ROOT
from tests.factories import write_weights_folder
from tests.hub_server import restart
from tests.ui.conftest import TIMEOUT, example_png, png, wall_png

HOSTILE = "*bold* [link](http:x.y) $x$ <b>.jpg"


def upload(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    app.file_uploader[0].set_value([(name, data, "image/png") for name, data in files]).run()
    return app


def click(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    return app


def headings(app: AppTest) -> list[str]:
    """What the cards say of their faces, in order."""
    return [m.value.removeprefix("##### ") for m in app.markdown if m.value.startswith("##### ")]


def texts(app: AppTest) -> str:
    return "\n".join(text.value for text in app.text)


def alts(app: AppTest) -> list[str]:
    return [picture.alt for image in app.get("image") for picture in image.proto.imgs]


def edge(app: AppTest, name: str) -> NumberInput:
    """One of the four numbers that make a box."""
    (found,) = [field for field in app.number_input if field.label == f"{name}, px"]
    return found


def pictures(app: AppTest) -> gallery_module.Gallery:
    return app.session_state["gallery"]


@pytest.fixture
def one(app: AppTest) -> AppTest:
    """The page after a click on the first example."""
    return click(app.run(), "example-one")


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
    one.selectbox(key="model").set_value("doubtful").run()
    assert headings(one)[0].startswith("Uncertain: ")
    assert " or " in headings(one)[0]


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which model reads a picture from now on."""
    read = []
    analyse = pipeline.analyse

    def watch(photo, detector, classifier, **options):
        read.append(classifier.name)
        return analyse(photo, detector, classifier, **options)

    monkeypatch.setattr(pipeline, "analyse", watch)  # a page is run anew, and imports it
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
    one.selectbox(key="model").set_value("doubtful").run()
    top = next(iter(pictures(one).picture.analyses.values())).predictions.top[0]
    assert f"Face 1 with the Influence map for {EXPRESSIONS[top]}." in alts(one)


def test_going_back_to_a_setting_computes_nothing(analysed, one):
    first = headings(one)
    one.selectbox(key="model").set_value("doubtful").run()
    one.selectbox(key="model").set_value("sure").run()
    assert headings(one) == first
    assert analysed == ["sure", "doubtful"]


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


def test_several_uploads_are_shown_one_at_a_time(app):
    upload(app.run(), ("a.png", example_png("one")), ("b.png", example_png("several")))
    assert len(pictures(app).pictures) == 2
    assert "a.png" in texts(app)
    click(app, "show-1")
    assert "b.png" in texts(app)
    assert len(headings(app)) >= 3


def test_the_same_picture_twice_is_one(app):
    upload(app.run(), ("a.png", example_png("one")), ("again.png", example_png("one")))
    assert [p.name for p in pictures(app).pictures] == ["a.png"]


def test_a_refused_picture_is_named_and_the_others_are_read(app):
    upload(app.run(), ("bad.jpg", b"no picture"), ("good.png", example_png("one")))
    assert "bad.jpg was not read" in texts(app)
    assert len(headings(app)) == 1


def test_a_name_from_outside_is_inert(app):
    upload(app.run(), (HOSTILE, b"no picture"), ("$y$ *z*.png", example_png("one")))
    assert HOSTILE in texts(app)
    rich = [
        getattr(element, field)
        for kind in ("markdown", "caption", "button", "error", "info", "warning")
        for element in app.get(kind)
        for field in ("value", "label")
        if isinstance(getattr(element, field, None), str)
    ]
    assert not [words for words in rich if "http:x.y" in words or "*z*" in words]


def test_too_many_pictures_are_left_out_and_named(app, monkeypatch):
    monkeypatch.setattr(gallery_module, "MAX_PICTURES", 1)
    upload(app.run(), ("a.png", example_png("one")), ("b.png", example_png("uncertain")))
    assert "b.png was left out" in texts(app)
    assert len(pictures(app).pictures) == 1


def test_pictures_of_all_visitors_together_have_a_limit(app, monkeypatch):
    picture = example_png("one")
    other = gallery_module.Gallery()
    other.add_file(png(np.zeros((1000, 1000, 3), np.uint8)), "other.png")
    monkeypatch.setattr(gallery_module, "_ALL", weakref.WeakSet([other]))
    monkeypatch.setenv("FER_OPEN_MEGAPIXELS", "1")
    resources.settings.clear()
    upload(app.run(), ("mine.png", picture))
    assert "mine.png was left out: visitors have very many pictures open" in texts(app)
    assert not headings(app)
    other.clear()
    upload(app, ("again.png", picture))
    assert len(headings(app)) == 1


def test_uploads_are_not_kept_twice(app):
    upload(app.run(), ("a.png", example_png("one")))
    app.run()
    assert len(pictures(app).pictures) == 1
    click(app, "clear")
    assert not pictures(app).pictures


def test_no_face_offers_the_whole_picture_and_a_way_back(app):
    upload(app.run(), ("wall.png", wall_png()))
    assert "No face found in wall.png." in texts(app)
    click(app, "whole")
    assert len(headings(app)) == 1
    assert pictures(app).picture.whole
    click(app, "unwhole")
    assert "No face found in wall.png." in texts(app)


def test_a_missed_face_can_be_typed_and_removed(app):
    upload(app.run(), ("wall.png", wall_png()))
    click(app, "mark-none")
    assert app.get("plotly_chart"), "the picture on which to drag"
    edge(app, "Left").set_value(40)
    edge(app, "Right").set_value(160)
    click(app, "FormSubmitter:box-Add this face")
    assert pictures(app).picture.added == ((40, 72, 160, 168),)
    assert len(headings(app)) == 1
    click(app, "remove-1")
    assert "No face found in wall.png." in texts(app)


def test_a_box_the_wrong_way_round_says_what_is_asked_of_its_edges(app):
    upload(app.run(), ("wall.png", wall_png()))
    click(app, "mark-none")
    edge(app, "Left").set_value(160)
    edge(app, "Right").set_value(40)
    click(app, "FormSubmitter:box-Add this face")
    assert not pictures(app).picture.added
    (toast,) = app.toast
    assert "right edge must be 8 px or more to the right of the left one" in toast.value


def wall_upload(app: AppTest) -> AppTest:
    return upload(app, ("wall.png", wall_png()))


def snapshot(app: AppTest) -> AppTest:
    click(app, "camera-button")
    app.camera_input[0].set_value(("snap.jpg", wall_png(), "image/jpeg")).run()
    return app


def another_example(app: AppTest) -> AppTest:
    return click(app, "example-several")


@pytest.mark.parametrize("bring", [wall_upload, snapshot, another_example])
def test_a_new_picture_is_not_opened_for_marking(one, bring):
    click(one, "mark")
    assert one.number_input
    bring(one)
    assert len(pictures(one).pictures) == 2
    assert not one.number_input
    assert bring is another_example or "No face found in " in texts(one)


def test_a_file_taken_off_the_list_leaves_the_box_that_is_being_marked(app):
    click(wall_upload(app.run()), "mark-none")
    app.file_uploader[0].set_value([]).run()
    assert app.number_input


def test_the_edges_of_a_picture_are_not_those_of_the_next(one):
    gallery = pictures(another_example(one))
    gallery.show(0)
    click(one.run(), "mark")
    gallery.show(1)  # still marking: what a number is kept for is its picture
    one.run()
    assert edge(one, "Left").value == int(0.3 * gallery.picture.photo.width)


def test_boxes_are_cut_to_the_photo_and_must_have_a_size(one):
    picture = pictures(one).picture
    assert add_box(picture, (-50, 10, 60, 9000))
    assert picture.added == ((0, 10, 60, 512),)
    assert not add_box(picture, (5, 5, 9, 200))
    assert len(picture.added) == 1


def test_a_box_that_was_added_before_is_there_once(one):
    picture = pictures(one).picture
    assert add_box(picture, (20, 10, 60, 60))
    assert add_box(picture, (20, 10, 60, 60))
    assert len(picture.added) == 1
    picture.added = (*picture.added, (20.2, 10.0, 60.0, 60.0))
    one.run()
    assert not one.exception


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


def test_no_weights_is_one_sentence(app, monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    click(app.run(), "example-one")
    assert not app.exception
    assert len(app.error) == 1


def captions(app: AppTest) -> list[str]:
    return [caption.value for caption in app.caption]


def test_the_page_says_which_weights_answered(one):
    assert "Weights: sure, bundled with this app." in captions(one)
    one.selectbox(key="model").set_value("doubtful").run()
    assert "Weights: doubtful, bundled with this app." in captions(one)


def test_bundled_weights_that_serve_instead_of_the_hubs_say_why(app, monkeypatch):
    restart(monkeypatch)
    resources.weights.clear()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("FER_HUB_REPOS", "me/none")
    click(app.run(), "example-one")
    assert len(headings(app)) == 1
    notices = [text.value for text in app.text]
    (notice,) = [words for words in notices if words.startswith("The weights of me/none ")]
    assert "the Hub could not be reached" in notice
    assert notice.endswith("The bundled sure serves instead.")
    assert "Weights: sure, bundled with this app." in captions(app)
    app.switch_page("fer_demo/ui/about.py").run()
    assert notice in texts(app)


def test_secrets_of_streamlit_name_the_repositories(models, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("FER_HUB_REPOS", "")
    secrets = Secrets()
    monkeypatch.setattr(st, "secrets", secrets)
    file = tmp_path / "secrets.toml"
    option = config.get_config_options()["secrets.files"]
    monkeypatch.setattr(option, "_get_val_func", lambda: [str(file)])
    resources.settings.clear()
    assert resources.settings().hub_repos == (), "no file is no failure"
    assert "".join(capfd.readouterr()) == ""
    file.write_text('FER_HUB_REPOS = "me/fer-tiny@v1"\n')
    resources.settings.clear()
    assert resources.settings().hub_repos == ("me/fer-tiny@v1",)


def test_the_about_page_says_what_is_running(app):
    app.switch_page("fer_demo/ui/about.py").run()
    assert not app.exception
    words = "\n".join(m.value for m in app.markdown)
    for section in ("Responsible use", "Privacy", "How it works", "Limits", "Licences"):
        assert section in words
    assert "**sure**" in words
    assert "haar" in words


def test_words_of_whoever_made_the_weights_are_inert(app, tmp_path, monkeypatch):
    hostile = "![x](http://x.y/z.png) *free*"
    write_weights_folder(
        tmp_path / "theirs",
        "test_resnet",
        config=lambda config: config["pretrained_cfg"].update(license=hostile),
    )
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    app.switch_page("fer_demo/ui/about.py").run()
    assert f"Licence: {hostile}" in texts(app)
    assert not [m.value for m in app.markdown if "*free*" in m.value]
