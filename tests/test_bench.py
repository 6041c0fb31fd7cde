"""What the benchmark shows its subjects, and how it tells what was measured."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from benchmarks.visitor import slower_and_late
from fer_demo.bench import app, report
from fer_demo.bench.peer import SIZES, crowd


@pytest.mark.parametrize("seed", range(20))
def test_the_crowd_has_a_face_of_every_size_from_20_to_200_pixels(seed: int) -> None:
    rgb, boxes = crowd(seed)
    widths = boxes[:, 2] - boxes[:, 0]
    np.testing.assert_allclose(widths, SIZES, atol=0.5)
    assert (min(SIZES), max(SIZES)) == (20, 200)
    assert (boxes >= 0).all()
    assert (boxes <= [1280, 720, 1280, 720]).all()
    for x1, y1, x2, y2 in boxes.astype(int):
        assert rgb[y1:y2, x1:x2].std() > 10


def test_two_streams_are_told_by_the_slower_one_and_the_delays_of_both() -> None:
    fast = [(15.0, 100.0)] * 19 + [(3.0, 500.0)]
    slow = [(11.0, 100.0)] * 20
    assert slower_and_late([fast, slow]) == (11.0, 100.0)
    assert slower_and_late([fast, [(11.0, 300.0)] * 20]) == (11.0, 300.0)


def printed(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_a_visit_that_fails_has_no_figures() -> None:
    assert app._numbers(printed("print('ready\\n12.5 80.0')"), 2) == [12.5, 80.0]
    assert app._numbers(printed("print('12.5 80.0'); exit(1)"), 2) == [None, None]


def test_the_report_has_two_streams_beside_their_bars() -> None:
    bars = {name: bar for name, _, bar, _, _ in report.BARS}
    assert (bars["two_streams_fps"], bars["two_streams_p95_ms"]) == (12, 250)
