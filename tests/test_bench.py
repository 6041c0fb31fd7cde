"""What the benchmark shows its subjects, and how it tells what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.visitor import slower_and_late
from fer_demo.__main__ import main
from fer_demo.bench import app, peer, report
from fer_demo.bench.peer import SIZES, crowd
from fer_demo.weights import BUNDLED


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


def lines(figures: dict[str, Any]) -> dict[str, list[str]]:
    """Of the report: by what a line is about, what is beside it."""
    said = {words: name for name, words, *_ in report.BARS}
    table = (line for line in report.as_text(figures).splitlines() if line[:44].strip() in said)
    return {said[line[:44].strip()]: line[44:].split() for line in table}


def test_a_place_where_no_file_can_be_is_told_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("it was measured")

    monkeypatch.setattr(report, "measure", refuse)
    for place in (tmp_path, tmp_path / "nowhere" / "bench.json"):
        assert main(["bench", "--json", str(place)]) == 2
        assert f"--json {place}: there is no such place" in capsys.readouterr().err


def test_the_report_holds_every_figure_against_its_bar_and_its_aim() -> None:
    figures = json.loads((BUNDLED / "resnet18" / "bench.json").read_text())
    figures |= {"live_fps_1": 29.0, "live_fps_4": 20.0, "photo_vs_fer": None}
    figures |= {"two_streams_fps": 12.5, "two_streams_p95_ms": 251.0}
    said = lines(figures)
    assert list(said) == [name for name, *_ in report.BARS]
    assert said["live_fps_1"] == ["29", "30", "60", "missed"]  # more is better
    assert said["live_fps_4"] == ["20", "20", "40"]
    assert said["photo_vs_fer"] == ["-", "4", "8"]  # could not be had here
    assert said["two_streams_fps"] == ["12.5", "12", "15"]
    assert said["two_streams_p95_ms"] == ["251", "250", "150", "missed"]  # less is better


def test_a_face_counts_as_found_by_a_box_of_about_its_width_around_its_middle() -> None:
    wanted = np.array([[10.0, 10.0, 30.0, 30.0], [100.0, 100.0, 140.0, 140.0]])
    assert peer.recall(wanted, wanted) == 1
    assert peer.recall(np.zeros((0, 4)), wanted) == 0
    shifted = np.add(
        wanted, [[4, -4, 4, -4], [30, 0, 30, 0]]
    )  # the second no longer holds the middle
    assert peer.recall(shifted, wanted) == 0.5
    huge = np.array([[0.0, 0.0, 200.0, 200.0]])
    assert peer.recall(huge, wanted) == 0
