from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageColor

from fer_demo.draw import COLOURS
from fer_demo.live.drawing import Look, draw_frame
from fer_demo.types import EXPRESSIONS
from tests.analyses import HAPPY, SAD_OR_NEUTRAL, made_analysis
from tests.live.conftest import numbered


def columns_of(rgb: np.ndarray, colour: str) -> set[int]:
    """Where a colour lies in the rows of the box's sides, away from its corners and its tag."""
    found = (rgb[90:150] == ImageColor.getrgb(colour)).all(axis=2).any(axis=0)
    return set(np.flatnonzero(found).tolist())


@pytest.mark.parametrize(("mirror", "left"), [(False, 20), (True, 640 - 120)])
def test_a_box_lies_around_its_face_and_in_a_mirror_too(mirror: bool, left: int) -> None:
    rgb = np.full((400, 640, 3), 128, np.uint8)
    analysis = numbered(made_analysis([HAPPY]))  # box 20..120 x 60..180
    drawn = draw_frame(rgb, analysis, Look(mirror=mirror))
    found = columns_of(drawn, COLOURS["happy"])
    sides = [set(range(side - 2, side + 3)) for side in (left, left + 100)]
    assert found <= sides[0] | sides[1]
    assert all(found & side for side in sides)
    assert (drawn[190:] == 128).all(), "below the box nothing is drawn"


def test_an_uncertain_face_has_a_white_box_of_dashes() -> None:
    rgb = np.full((400, 640, 3), 128, np.uint8)
    drawn = draw_frame(rgb, numbered(made_analysis([SAD_OR_NEUTRAL])), Look(mirror=False))
    assert not any(columns_of(drawn, colour) for colour in COLOURS.values())
    left = (drawn[60:180, 20] == 255).all(axis=1)
    assert 0.25 < left.mean() < 0.75
    sure = draw_frame(rgb, numbered(made_analysis([HAPPY])), Look(mirror=False))
    assert len(np.unique(sure[90:150, 20], axis=0)) == 1, "a sure one has no gaps"


def test_a_mirror_turns_the_picture_and_not_the_letters() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (400, 640, 3), np.uint8)
    plain = draw_frame(rgb, None, Look(mirror=True))
    np.testing.assert_array_equal(plain, rgb[:, ::-1])
    analysis = numbered(made_analysis([HAPPY]))
    drawn = draw_frame(rgb, analysis, Look(mirror=True))
    straight = draw_frame(rgb, analysis, Look(mirror=False))
    # The tag stands above the box, at its left in both pictures, and is the same in both.
    tag = [
        np.flatnonzero((picture[50] == ImageColor.getrgb(COLOURS["happy"])).all(axis=1))
        for picture in (straight, drawn)
    ]
    columns = [slice(found.min(), found.max()) for found in tag]
    assert tag[1].min() - tag[0].min() == 640 - 120 - 20
    np.testing.assert_array_equal(straight[42:58, columns[0]], drawn[42:58, columns[1]])
    assert len(np.unique(straight[42:58, columns[0]].reshape(-1, 3), axis=0)) > 2, "letters"


def test_blur_hides_all_but_faces() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (400, 640, 3), np.uint8)
    analysis = made_analysis([HAPPY])  # box 20..120 x 60..180
    out = draw_frame(rgb, numbered(analysis), Look(blur_others=True, mirror=False))
    np.testing.assert_array_equal(out[80:160, 40:100], rgb[80:160, 40:100])
    assert out[200:, 300:].std() < 0.3 * rgb.std()
    nobody = draw_frame(rgb, None, Look(blur_others=True, mirror=False))
    assert nobody.std() < 0.3 * rgb.std()


def test_evidence_is_drawn_where_it_belongs() -> None:
    rgb = np.full((400, 640, 3), 128, np.uint8)
    analysis = numbered(made_analysis([HAPPY]))
    to_photo = np.array([[[100.0, 0, 20], [0, 100.0, 70]]])
    evidence = np.zeros((1, 7, 4, 4), np.float32)
    evidence[0, EXPRESSIONS.index("sad"), 0, 3] = 8.0  # the crop's top right corner
    analysis = replace(
        analysis,
        crops=replace(analysis.crops, to_photo=to_photo),
        predictions=replace(analysis.predictions, evidence=evidence),
    )
    look = Look(overlay=True, expression="sad", opacity=1.0, mirror=False)
    changed = draw_frame(rgb, analysis, look, 8.0) != draw_frame(
        rgb, analysis, replace(look, overlay=False), 8.0
    )
    rows, columns = np.nonzero(changed.any(axis=2))
    assert rows.min() >= 70
    assert rows.max() < 70 + 45
    assert columns.min() >= 20 + 55
    assert columns.max() <= 120
    clear = draw_frame(rgb, analysis, replace(look, opacity=0.0), 8.0)
    np.testing.assert_array_equal(clear, draw_frame(rgb, analysis, replace(look, overlay=False)))
