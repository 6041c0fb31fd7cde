"""Faces that are small in a photo."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_demo.weights import BUNDLED
from training import small_faces
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
    fer2013: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    some = read_split(fer2013, "public_test")[:300]
    monkeypatch.setattr(small_faces, "read_split", lambda *_: some)
    weights = [
        "--weights",
        str(BUNDLED / "resnet18"),
        "--weights",
        str(BUNDLED / "efficientnet_b0"),
    ]
    assert small_faces.main([*weights, "--data", str(fer2013)]) == 0
    said = capsys.readouterr().out
    shares = {
        line[:30].strip(): [float(share) for share in line[30:].split()]
        for line in said.splitlines()
        if re.search(r"\d$", line)
    }
    assert len(shares) == 1 + len(small_faces.WIDTHS)
    for name, least in (("26 to 36 px", 0.92), ("18 to 26 px", 0.8)):
        for share, whole in zip(shares[name], shares["as they are"], strict=True):
            assert share > least * whole, name
