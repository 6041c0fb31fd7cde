"""Pictures that the app was not made for, through the whole pipeline."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.factories import write_weights_folder
from training import outside


@pytest.mark.parametrize("name", list(outside.MADE_OF_PHOTOGRAPHS))
def test_each_change_keeps_size_and_type(name: str) -> None:
    crop = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    face = outside.photograph(crop)
    changed = outside.MADE_OF_PHOTOGRAPHS[name](face)
    assert changed.shape == (outside.SIDE, outside.SIDE)
    assert changed.dtype == np.uint8
    assert (name == "photographs") == np.array_equal(changed, face)


def test_drawn_faces_and_things_differ_from_one_to_the_next() -> None:
    generator = np.random.default_rng(0)
    for make in (outside.drawn, outside.thing):
        one, other = make(generator), make(generator)
        assert one.shape == other.shape == (outside.SIDE, outside.SIDE)
        assert not np.array_equal(one, other)


def test_a_wrong_setting_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FER_THREADS", "x")
    given = ["--weights", str(tmp_path), "--data", str(tmp_path), "--json", str(tmp_path / "o")]
    assert outside.main(given) == 1
    assert "FER_THREADS" in capsys.readouterr().err


def test_the_command_measures_every_kind(tmp_path: Path, tiny_data: Path) -> None:
    weights = write_weights_folder(tmp_path / "tiny", "test_resnet", 96)
    out = tmp_path / "outside.json"
    arguments = ["--weights", str(weights), "--data", str(tiny_data), "--json", str(out)]
    assert outside.main([*arguments, "--images", "4"]) == 0
    document = json.loads(out.read_text())
    assert set(outside.MADE_OF_PHOTOGRAPHS) < set(document["kinds"])
    for kind in document["kinds"].values():
        assert 0 <= kind["unwarned"] <= kind["answered"] <= kind["found"] <= 1
        assert kind["right"] is None or kind["right"] <= kind["unwarned"]
    labelled = {name for name, kind in document["kinds"].items() if kind["right"] is not None}
    assert labelled == set(outside.MADE_OF_PHOTOGRAPHS)
