"""Faces that a person marks on the Photo page, in-process."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import NumberInput

from fer_demo.ui.picture import add_box
from tests.ui.conftest import png, wall_png
from tests.ui.photo_page import click, headings, pictures, texts, upload


def edge(app: AppTest, name: str) -> NumberInput:
    """One of the four numbers that make a box."""
    (found,) = [field for field in app.number_input if field.label == f"{name}, px"]
    return found


def test_a_missed_face_can_be_typed_and_removed(app):
    upload(app.run(), ("wall.png", wall_png()))
    click(app, "mark-none")
    assert app.get("plotly_chart"), "the picture on which to drag"
    edge(app, "Left").set_value(40)
    edge(app, "Right").set_value(160)
    click(app, "FormSubmitter:box-Add this face")
    assert pictures(app).picture.added == ((40, 72, 160, 168),)
    assert len(headings(app)) == 1
    click(app, "remove-1-40-72-160-168")
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
    gallery.show(gallery.pictures[0])
    click(one.run(), "mark")
    gallery.show(gallery.pictures[1])  # still marking: what a number is kept for is its picture
    one.run()
    assert edge(one, "Left").value == int(0.3 * gallery.picture.photo.width)


def test_edges_are_typed_in_pixels_of_a_file_that_was_reduced(app):
    upload(app.run(), ("wall.png", png(np.full((6000, 8000, 3), 120, np.uint8))))
    click(app, "mark-none")
    assert edge(app, "Left").max == 8000
    assert edge(app, "Bottom").max == 6000
    for name, value in (("Left", 4000), ("Top", 2000), ("Right", 4010), ("Bottom", 4000)):
        edge(app, name).set_value(value)
    click(app, "FormSubmitter:box-Add this face")
    assert "right edge must be 16 px or more" in app.toast[0].value
    edge(app, "Right").set_value(6000)
    click(app, "FormSubmitter:box-Add this face")
    assert pictures(app).picture.added == ((2048, 1024, 3072, 2048),)  # of 4096 x 3072


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
