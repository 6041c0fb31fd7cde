"""Every state of the Photo page, in-process, on tiny networks and the simpler detector."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from fer_demo import pipeline
from fer_demo.examples import EXAMPLES
from fer_demo.images import display_name
from fer_demo.types import COLOUR_SIDE, EXPRESSIONS
from fer_demo.ui import gallery as gallery_module
from fer_demo.ui import resources
from fer_demo.ui.layout import NOTICE, NOTICE_TITLE
from tests.analyses import HAPPY, made_analysis
from tests.conftest import ROOT
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


def pictures(app: AppTest) -> gallery_module.Gallery:
    return app.session_state["gallery"]


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
    one.query_params["face1"] = "fear"  # as a browser does at once
    one.run()
    assert "Face 1 with the Influence map for fear." in alts(one)
    one.selectbox(key="model").set_value("doubtful").run()
    assert "face1" not in one.query_params
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


def test_a_long_name_is_shortened_on_the_page_and_kept_in_full_for_exports(app):
    name = "holiday-" + "x" * 90 + ".png"
    upload(app.run(), (name, example_png("one")), (name, b"no picture"))
    assert name not in texts(app)
    assert display_name(name) in texts(app)
    assert f"{display_name(name)} was not read" in texts(app)
    assert [picture.name for picture in pictures(app).pictures] == [name]
    assert [one.name for one in pictures(app).refused] == [name]


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


def test_the_limit_that_leaves_a_picture_out_is_named_and_can_be_met(app, monkeypatch):
    monkeypatch.setattr(gallery_module, "MAX_PICTURES", 2)
    files = [(f"{name}.png", example_png(name)) for name in ("one", "several", "uncertain")]
    upload(app.run(), ("bad.png", b"no picture"), *files)
    said = "uncertain.png was left out: there is room for 2 pictures at a time. Remove some first."
    assert said in texts(app)
    counts = [m.value for m in app.markdown if m.value.startswith(":material/warning:")]
    assert [count.split("**")[1] for count in counts] == [
        "One file was not read",
        "One file was left out",
    ]
    click(app, "remove-shown")
    click(app, "again-files")
    assert [p.name for p in pictures(app).pictures] == ["several.png", "uncertain.png"]
    assert "left out" not in texts(app)
    assert "bad.png was not read" in texts(app)

    monkeypatch.setattr(gallery_module, "MAX_PICTURES", 3)
    monkeypatch.setattr(gallery_module, "MAX_PIXELS", 2_000_000)
    upload(app, ("large.png", png(np.zeros((1000, 1500, 3), np.uint8))))
    said = "large.png was left out: there is room for 2 megapixels of pictures and faces, and with"
    assert said in texts(app)


def test_a_file_that_is_chosen_again_while_it_waits_comes_once(app, monkeypatch):
    monkeypatch.setattr(gallery_module, "MAX_PICTURES", 1)
    one, other = (("a.png", example_png("one")), ("b.png", example_png("uncertain")))
    upload(app.run(), one, other)
    assert [refusal.name for refusal in pictures(app).waiting] == ["b.png"]
    monkeypatch.setattr(gallery_module, "MAX_PICTURES", 2)
    upload(app, other)
    assert [p.name for p in pictures(app).pictures] == ["a.png", "b.png"]
    assert not pictures(app).refused


def test_files_that_were_not_read_are_dismissed_with_one_click(app, monkeypatch):
    monkeypatch.setattr(gallery_module, "MAX_PICTURES", 1)
    good = [("a.png", example_png("one")), ("b.png", example_png("uncertain"))]
    upload(app.run(), ("bad.jpg", b"no picture"), *good)
    assert len(pictures(app).refused) == 2
    click(app, "dismiss-files")
    assert not pictures(app).refused
    assert "dismiss-files" not in [button.key for button in app.button]
    assert [p.name for p in pictures(app).pictures] == ["a.png"]


def test_the_picture_on_show_is_removed_and_the_others_stay(app):
    names = ("one", "several", "uncertain")
    upload(app.run(), *((f"{name}.png", example_png(name)) for name in names))
    click(app, "show-1")
    click(app, "remove-shown")
    assert not app.exception
    assert [p.name for p in pictures(app).pictures] == ["one.png", "uncertain.png"]
    assert "uncertain.png" in texts(app)
    assert len(headings(app)) == 1
    click(app, "remove-shown")  # the last of the row
    assert "one.png" in texts(app)
    assert len(headings(app)) == 1
    assert "remove-shown" not in [button.key for button in app.button], "there is Clear"


def test_clicks_that_come_late_ask_for_pictures_that_are_gone_and_change_nothing(app):
    names = ("one", "several", "uncertain")
    upload(app.run(), *((f"{name}.png", example_png(name)) for name in names))
    found = pictures(app)
    first, second, third = found.pictures
    found.show(second)
    found.remove(third)
    found.remove(third)
    found.show(third)
    assert found.picture is second
    found.remove(first)
    assert found.picture is second
    app.run()
    assert "several.png" in texts(app)
    found.clear()
    found.remove(second)
    found.show(second)
    assert found.picture is None


def test_a_choice_of_class_is_not_kept_for_the_picture_after_a_removed_one(app):
    upload(app.run(), ("a.png", example_png("one")), ("b.png", example_png("several")))
    app.button_group(key="face1").set_value("fear").run()
    app.query_params["face1"] = "fear"  # as a browser does at once
    click(app, "remove-shown")
    assert "face1" not in app.query_params
    top = next(iter(pictures(app).picture.analyses.values())).predictions.top[0]
    assert f"Face 1 with the Influence map for {EXPRESSIONS[top]}." in alts(app)


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
    click(app, "again-files")
    assert len(headings(app)) == 1
    assert "left out" not in texts(app)


def test_the_faces_of_all_visitors_pictures_count_as_their_pictures_do(app, monkeypatch):
    size = EXAMPLES[0].make().shape
    other = gallery_module.Gallery()
    other.add_example(EXAMPLES[0])
    analysis = made_analysis([HAPPY] * 20)
    other.pictures[0].keep(gallery_module.Question("sure", 0.5), analysis)
    assert size[0] * size[1] < 1_000_000 < 20 * COLOUR_SIDE**2
    monkeypatch.setattr(gallery_module, "_ALL", weakref.WeakSet([other]))
    monkeypatch.setenv("FER_OPEN_MEGAPIXELS", "1")
    resources.settings.clear()
    upload(app.run(), ("mine.png", wall_png()))
    assert "mine.png was left out: visitors have very many pictures open" in texts(app)


def test_the_faces_of_a_picture_are_kept_once_for_all_models(one):
    one.selectbox(key="model").set_value("doubtful").run()
    one.slider(key="threshold").set_value(0.95).run()
    sure, doubtful, other = pictures(one).picture.analyses.values()
    assert len(sure) == 1
    assert doubtful.crops is sure.crops
    assert not len(other)


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


def test_the_camera_stays_closed_on_coming_back_to_the_page(app):
    click(app.run(), "camera-button")
    app.run()
    assert app.get("camera_input"), "on the same page it stays open"
    app.switch_page("fer_demo/ui/models.py").run()
    app.switch_page("fer_demo/ui/photo.py").run()
    assert not app.get("camera_input")
    assert app.button(key="camera-button").label == "Take a snapshot"
