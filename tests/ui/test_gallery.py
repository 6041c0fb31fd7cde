"""The pictures of a visit: how they come, what is left out or refused, how they go."""

from __future__ import annotations

import weakref

import numpy as np
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.testing.v1 import AppTest

from fer_demo.examples import EXAMPLES
from fer_demo.images import display_name
from fer_demo.types import COLOUR_SIDE, EXPRESSIONS
from fer_demo.ui import gallery as gallery_module
from fer_demo.ui import resources
from fer_demo.ui.housekeeping import settle
from tests.analyses import HAPPY, made_analysis
from tests.ui.conftest import example_png, png, wall_png
from tests.ui.photo_page import alts, click, headings, pictures, texts, upload

HOSTILE = "*bold* [link](http:x.y) $x$ <b>.jpg"


def remove_shown(app: AppTest) -> None:
    """Click what removes the picture on show."""
    (button,) = [button for button in app.button if button.label == "Remove"]
    button.click().run()


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
    remove_shown(app)
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
    remove_shown(app)
    assert not app.exception
    assert [p.name for p in pictures(app).pictures] == ["one.png", "uncertain.png"]
    assert "uncertain.png" in texts(app)
    assert len(headings(app)) == 1
    (key,) = [button.key for button in app.button if button.label == "Remove"]
    assert key.endswith(pictures(app).picture.digest[:12]), "a late click removes no other"
    remove_shown(app)  # the last of the row
    assert "one.png" in texts(app)
    assert len(headings(app)) == 1
    assert "Remove" not in [button.label for button in app.button], "there is Clear"


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
    remove_shown(app)
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
    one.selectbox(key="model").set_value("unsure").run()
    one.slider(key="threshold").set_value(0.95).run()
    sure, doubtful, other = pictures(one).picture.analyses.values()
    assert len(sure) == 1
    assert doubtful.crops is sure.crops
    assert not len(other)


def test_the_servers_own_copies_of_what_was_read_are_freed(app, monkeypatch):
    freed = []
    remove = MemoryUploadedFileManager.remove_file

    def watch(manager: MemoryUploadedFileManager, session_id: str, file_id: str) -> None:
        freed.append(file_id)
        remove(manager, session_id, file_id)

    monkeypatch.setattr(MemoryUploadedFileManager, "remove_file", watch)
    upload(app.run(), ("a.png", example_png("one")), ("bad.png", b"no picture"))
    assert len(freed) == 2
    assert set(freed) == pictures(app).seen_uploads
    click(app, "camera-button")
    app.camera_input[0].set_value(("snap.jpg", example_png("several"), "image/jpeg")).run()
    assert len(pictures(app).pictures) == 2
    assert len(set(freed)) == 3


def test_what_is_removed_or_cleared_is_held_by_nothing(app):
    names = ("one", "several", "uncertain")
    wall = ("wall.png", wall_png())  # "Treat the whole picture as one face" is offered of it
    upload(app.run(), *((f"{name}.png", example_png(name)) for name in names), wall)
    click(app, "show-3")
    click(app, "whole")
    click(app, "show-1")
    click(app, "mark")
    held = [weakref.ref(picture) for picture in pictures(app).pictures]
    pixels = [weakref.ref(picture.photo.rgb) for picture in pictures(app).pictures]
    remove_shown(app)
    settle()  # what a collection alone finds may have been frozen meanwhile
    assert [ref() is None for ref in held] == [False, True, False, False]
    click(app, "clear")
    settle()
    assert [ref() is None for ref in (*held, *pixels)] == [True] * 8


def test_uploads_are_not_kept_twice(app):
    upload(app.run(), ("a.png", example_png("one")))
    app.run()
    assert len(pictures(app).pictures) == 1
    click(app, "clear")
    assert not pictures(app).pictures
