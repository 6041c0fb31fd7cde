"""Faces that are small in a photo."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_demo.weights import BUNDLED
from tests.training.conftest import write_parquet
from training import evaluate, small_faces
from training.data import read_split


def test_a_coarse_picture_holds_the_crop_where_it_is_said_to_be() -> None:
    step = np.zeros((48, 48), np.uint8)
    step[:, 24:] = 200
    photo = small_faces.coarse(step, 20.0, np.array([1.25, 1.5]))
    row = photo.rgb[10, :, 0].astype(float)
    # The middle of the crop is at 11.25 px: a quarter of that pixel is still dark.
    assert row[:10].max() < 10
    assert row[11] == pytest.approx(150, abs=12)
    assert row[13:].min() > 190


def test_small_faces_are_cut_out_again_much_as_they_were() -> None:
    rng = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(rng.normal(0, 1, (48, 48)), (0, 0), 4)
    smooth = cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    (again,) = small_faces.cut_again(smooth[None], 20, 30)
    assert np.abs(again.astype(float) - smooth).mean() < 8
    assert not np.array_equal(again, smooth)


def test_what_ships_reads_faces_of_half_the_size_nearly_as_well(
    fer2013: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "public_test.parquet", tmp_path / "o.json"
    write_parquet(data, read_split(fer2013, "public_test")[:300])
    given = ["--weights", str(BUNDLED / "resnet18"), "--weights", str(BUNDLED / "efficientnet_b0")]
    given += ["--data", str(data), "--seen-in", str(fer2013), "--small-faces", "--json", str(out)]
    assert evaluate.main(given) == 0
    results = json.loads(out.read_text())["results"]
    assert list(results) == ["resnet18", "efficientnet_b0", "ensemble"]
    for heads in results.values():
        assert not any("small_faces" in heads[head] for head in ("fer2013", "ferplus8"))
        for part in (heads["ferplus7"], heads["ferplus7"]["unseen"]):
            share = {width: found["accuracy"] for width, found in part["small_faces"].items()}
            assert len(share) == 1 + len(small_faces.WIDTHS)
            assert {found["n"] for found in part["small_faces"].values()} == {part["n"]}
            assert share["48 px"] == part["accuracy"]
            assert share["26 to 36 px"] > 0.92 * part["accuracy"]
            assert share["18 to 26 px"] > 0.8 * part["accuracy"]
    told = capsys.readouterr().out
    share = results["ensemble"]["ferplus7"]["small_faces"]["12 to 18 px"]
    assert f"ensemble ferplus7, 12 to 18 px wide: {100 * share['accuracy']:.2f} %" in told
