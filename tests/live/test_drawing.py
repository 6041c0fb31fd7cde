from __future__ import annotations

from dataclasses import replace

import numpy as np

from fer_demo.bench.film import frame
from fer_demo.live.drawing import Look, draw_frame
from fer_demo.live.session import LiveSession
from fer_demo.types import EXPRESSIONS
from tests.analyses import HAPPY, made_analysis
from tests.live.conftest import numbered, people, play


def test_a_mirror_turns_the_picture_and_not_the_letters(session: LiveSession) -> None:
    play(session, lambda: people(session) == [1])
    seen = session.seen
    assert seen is not None
    rgb = frame(1, 0)
    plain = draw_frame(rgb, None, Look(mirror=True))
    np.testing.assert_array_equal(plain, rgb[:, ::-1])
    drawn = draw_frame(rgb, seen.analysis, Look(mirror=True), 1.0)
    straight = draw_frame(rgb, seen.analysis, Look(mirror=False), 1.0)
    assert not np.array_equal(drawn, straight[:, ::-1])


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
