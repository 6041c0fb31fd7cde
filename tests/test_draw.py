"""Boxes, tags, badges and evidence in pixels."""

from __future__ import annotations

import dataclasses
import itertools
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import ImageColor

from fer_demo import draw
from fer_demo.types import FERPLUS_EXPRESSIONS, Faces
from tests.analyses import HAPPY, made_analysis


def has_colour(pixels, colour):
    return bool((pixels == ImageColor.getrgb(colour)).all(axis=-1).any())


def test_every_expression_has_its_own_colour():
    assert tuple(draw.COLOURS) == FERPLUS_EXPRESSIONS
    assert len(set(draw.COLOURS.values())) == len(FERPLUS_EXPRESSIONS)
    assert {draw.EVIDENCE_FOR, draw.EVIDENCE_AGAINST}.isdisjoint(draw.COLOURS.values())


@pytest.mark.parametrize("colour", [*draw.COLOURS.values(), draw.PAPER, draw.INK])
def test_numbers_read_on_every_colour(colour):
    assert draw.contrast(draw.ink_on(colour), colour) >= 4.5


def test_contrast_of_black_and_white():
    assert draw.contrast("#000000", "#FFFFFF") == pytest.approx(21)


@pytest.mark.parametrize(
    ("probability", "words"),
    [(0.0, "< 1 %"), (0.004, "< 1 %"), (0.4149, "41 %"), (0.97, "97 %"), (0.9999, "> 99 %")],
)
def test_percent_never_claims_certainty(probability, words):
    assert draw.percent(probability) == words


def test_annotate_draws_the_expressions_colour_and_leaves_the_photo_alone():
    analysis = made_analysis()
    before = analysis.photo.rgb.copy()
    drawn = draw.annotate(analysis)
    assert drawn.shape == before.shape
    assert drawn.dtype == np.uint8
    assert np.array_equal(analysis.photo.rgb, before)
    assert has_colour(drawn[:, :130], draw.COLOURS["happy"])
    assert not has_colour(drawn[:, 130:], draw.COLOURS["sad"]), "uncertain wears no label's colour"
    assert has_colour(drawn[:, 130:], draw.PAPER)


def test_annotate_without_faces_is_the_photo():
    analysis = made_analysis(())
    assert np.array_equal(draw.annotate(analysis), analysis.photo.rgb)


def test_annotate_resizes_before_drawing():
    assert draw.annotate(made_analysis(), max_side=560).shape == (350, 560, 3)
    assert draw.annotate(made_analysis(), max_side=5000).shape == (400, 640, 3)


@pytest.mark.parametrize(
    ("size", "drawn"),
    [((1, 1), (480, 480)), ((3, 700), (3, 700)), ((700, 3), (700, 3)), ((1, 300), (2, 480))],
)
def test_annotate_survives_tiny_and_thin_photos(size, drawn):
    height, width = size
    analysis = made_analysis((HAPPY,), width=width, height=height)
    assert draw.annotate(analysis).shape == (*drawn, 3)
    assert min(draw.annotate(analysis, max_side=500).shape[:2]) >= 1


@pytest.mark.parametrize("max_side", [None, 1280], ids=["file", "page"])
def test_the_number_on_a_small_picture_hides_little_of_the_face(max_side):
    box = np.array([[0, 0, 48, 48]], np.float32)
    analysis = dataclasses.replace(
        made_analysis((HAPPY,), width=48, height=48), faces=Faces(box, np.ones(1, np.float32))
    )
    drawn = draw.annotate(analysis, max_side)
    inside = drawn[drawn.shape[0] // 48 :, drawn.shape[1] // 48 :]  # within the box's own line
    hidden = (inside != analysis.photo.rgb[0, 0]).any(axis=2).mean()
    assert hidden < 0.06


@pytest.mark.parametrize("number", [1, 12, 50])
@pytest.mark.parametrize("colour", [draw.COLOURS["sad"], None])
def test_badge_is_an_svg_that_says_the_number(number, colour):
    svg = ElementTree.fromstring(draw.badge(number, colour))
    assert "".join(svg.itertext()) == str(number)


def test_overlay_is_transparent_at_zero_and_at_no_opacity():
    crop = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    zero = np.zeros((6, 6), np.float32)
    assert np.array_equal(draw.overlay(crop, zero, 1.0, 1.0), crop)
    assert np.array_equal(draw.overlay(crop, zero + 5, 1.0, 0.0), crop)


def test_overlay_shows_for_and_against_in_their_colours():
    crop = np.full((224, 224, 3), 128, np.uint8)
    evidence = np.full((6, 6), 3, np.float32)
    evidence[:, 3:] = -3
    drawn = draw.overlay(crop, evidence, 3.0, 1.0)
    assert tuple(drawn[100, 5]) == ImageColor.getrgb(draw.EVIDENCE_FOR)
    assert tuple(drawn[100, -5]) == ImageColor.getrgb(draw.EVIDENCE_AGAINST)


def test_overlay_enlarges_the_grey_crop_in_whole_pixels():
    grey = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    drawn = draw.overlay(grey, np.zeros((6, 6), np.float32), 1.0, 1.0)
    assert drawn.shape == (224, 224, 3)
    assert set(np.unique(drawn)) <= set(np.unique(grey))


def test_overlay_can_show_the_cells_that_were_computed():
    crop = np.full((224, 224, 3), 255, np.uint8)
    evidence = np.random.default_rng(0).normal(size=(7, 7)).astype(np.float32)
    drawn = draw.overlay(crop, evidence, 1.0, 1.0, grid=True)
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) <= 49
    cells = drawn.reshape(7, 32, 7, 32, 3)
    assert (cells == cells[:, :1, :, :1]).all()


def test_one_evidence_scale_a_picture():
    analysis = made_analysis()
    scale = draw.evidence_scale(analysis)
    assert 0 < scale <= np.abs(analysis.predictions.evidence).max()
    assert draw.evidence_scale(made_analysis(())) == 1.0


def test_colour_bar_runs_from_against_through_clear_to_for():
    bar = draw.colour_bar(101, 8)
    assert bar.shape == (8, 101, 4)
    assert tuple(bar[0, 0]) == (*ImageColor.getrgb(draw.EVIDENCE_AGAINST), 255)
    assert bar[0, 50, 3] == 0
    assert tuple(bar[0, -1]) == (*ImageColor.getrgb(draw.EVIDENCE_FOR), 255)
    support = draw.colour_bar(101, 8, signed=False)
    assert support[0, 0, 3] == 0
    assert tuple(support[0, -1]) == tuple(bar[0, -1])


def simulate_deuteranopia(colour):
    """Machado et al. 2009, severity 1, on linear light."""
    matrix = np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    )
    srgb = np.array(ImageColor.getrgb(colour)) / 255
    return matrix @ np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def test_the_seven_colours_differ_for_colour_blind_eyes():
    seven = list(draw.COLOURS.values())[:7]
    for one, other in itertools.combinations(map(simulate_deuteranopia, seven), 2):
        assert np.abs(one - other).max() > 0.02
