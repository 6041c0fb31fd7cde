"""The framing is fitted on faces whose right crop is known."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from fer_demo.crops import TERMS_IN_USE
from fer_demo.weights import BUNDLED
from training import framing
from training.data import read_split


def test_a_missing_or_another_detector_file_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "yunet.onnx"
    assert framing.main(["--data", str(tmp_path), "--detector", str(missing)]) == 1
    assert f"{missing}: there is no such detector file." in capsys.readouterr().err
    missing.write_text("version https://git-lfs.github.com/spec/v1")
    assert framing.main(["--data", str(tmp_path), "--detector", str(missing)]) == 1
    assert f"{missing} is not the YuNet that the app uses" in capsys.readouterr().err


def framed_exactly(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Faces of many shapes in unit coordinates of their crop, and just there where the terms in use
    frame the whole picture: (N, 4) boxes and (N, 5, 2) landmarks."""
    rng = np.random.default_rng(0)
    places = [[-0.2, -0.1], [0.2, -0.1], [0.0, 0.1], [-0.15, 0.25], [0.15, 0.25]]
    points = places + rng.normal(0, 0.03, (count, 5, 2))  # from the box's middle, in heights
    half = np.stack([rng.uniform(0.35, 0.4, count), np.full(count, 0.5)], 1)
    odd, even = framing.terms(np.hstack([-half, half]), points)
    x, y, side = TERMS_IN_USE
    height = 1 / (even @ side)[:, None]
    middle = 0.5 - np.stack([odd @ x, even @ y], 1) * height
    boxes = np.hstack([middle - half * height, middle + half * height])
    return boxes, middle[:, None] + points * height[:, None]


def test_the_fit_finds_the_terms_that_frame_faces_exactly() -> None:
    boxes, landmarks = framed_exactly(400)
    fitted, held_out = slice(None, None, 2), slice(1, None, 2)
    found = framing.fit(boxes[fitted], landmarks[fitted])
    for terms, wanted in zip(found, TERMS_IN_USE, strict=True):
        np.testing.assert_allclose(terms, wanted, atol=1e-6)
    moved = framing.corner_displacement(boxes[held_out], landmarks[held_out], *found)
    assert moved.max() < 1e-6
    alone = framing.box_alone(boxes[fitted])
    moved = framing.corner_displacement(boxes[held_out], landmarks[held_out], *alone)
    assert np.median(moved) > 0.01


def test_a_fit_is_printed_beside_the_terms_in_use_and_the_box_alone(
    fer2013: Path,
    yunet_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    some = read_split(fer2013, "public_test")[:200]  # quicker to read than what it is fitted on
    monkeypatch.setattr(framing, "read_split", lambda *_: some)
    given = ["--data", fer2013, "--detector", yunet_file, "--images", "150"]
    assert framing.main([str(one) for one in given]) == 0
    told = capsys.readouterr().out
    terms = re.findall(r"^(?:x|y|side) +(\[.*\])$", told, re.MULTILINE)
    assert [len(json.loads(row)) for row in terms] == [5, 7, 7]
    moved = dict(re.findall(r"^(.*?) +held out: n \d+, .* median ([\d.]+) px", told, re.MULTILINE))
    assert list(moved) == ["these terms", "those in use", "box alone"]
    assert max(map(float, moved.values())) < 3


def test_the_cost_of_detection_is_printed_of_the_faces_that_are_found(
    fer2013: Path,
    yunet_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    some = read_split(fer2013, "public_test")[:120]
    monkeypatch.setattr(framing, "read_split", lambda *_: some)
    given = ["--data", fer2013, "--detector", yunet_file, "--weights", BUNDLED / "resnet18"]
    assert framing.main([str(one) for one in given]) == 0
    said = capsys.readouterr().out
    figures = re.match(r"found (\d+) of (\d+); .* crops ([\d.]+) %, .* detection ([\d.]+) %", said)
    assert figures is not None
    found, labelled, direct, detected = map(float, figures.groups())
    assert 0.9 * labelled < found <= labelled <= 120
    assert direct > 70
    assert abs(direct - detected) < 5
