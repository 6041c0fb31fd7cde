"""Crops are FER2013's framing, and training's input is the app's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fer_demo.crops import align, framing, network_input, whole_picture
from fer_demo.faces import YuNet
from fer_demo.types import Faces, Photo


def test_the_networks_input_is_the_crop_upscaled_and_centred_on_zero() -> None:
    grey = torch.randint(0, 256, (3, 48, 48), dtype=torch.uint8)
    expected = F.interpolate(grey[:, None] / 127.5 - 1, size=(96, 96), mode="bilinear")
    torch.testing.assert_close(network_input(grey, 96), expected)


def test_an_identity_warp_gives_what_no_warp_gives() -> None:
    grey = torch.randint(0, 256, (3, 48, 48), dtype=torch.uint8)
    identity = torch.eye(2, 3).repeat(3, 1, 1)
    torch.testing.assert_close(
        network_input(grey, 96, warp=identity), network_input(grey, 96), atol=1e-4, rtol=0
    )


def test_a_face_crop_taken_whole_comes_out_as_it_went_in() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    crops = whole_picture(Photo(np.repeat(grey[..., None], 3, axis=2)))
    assert np.abs(crops.grey[0].astype(int) - grey).max() <= 1


def test_a_box_without_landmarks_becomes_a_square_grown_by_three_percent() -> None:
    photo = Photo(np.zeros((200, 200, 3), np.uint8))
    crops = align(photo, Faces(np.array([[50, 60, 150, 160]], np.float32), np.ones(1, np.float32)))
    corners = crops.to_photo[0] @ np.array([[0, 1], [0, 1], [1, 1]])
    np.testing.assert_allclose(corners, [[48.5, 151.5], [58.5, 161.5]])


def test_no_faces_are_no_crops() -> None:
    assert len(align(Photo(np.zeros((9, 9, 3), np.uint8)), Faces.none())) == 0


def test_a_mirrored_face_gets_the_mirrored_crop() -> None:
    box = np.array([100.0, 100.0, 200.0, 230.0])
    points = np.array([[130.0, 150], [172, 148], [158, 175], [136, 200], [168, 198]])
    there = framing(box, points) @ [0.5, 0.5, 1]
    flipped = (points * [-1, 1] + [300, 0])[[1, 0, 2, 4, 3]]
    back = framing(box, flipped) @ [0.5, 0.5, 1]
    np.testing.assert_allclose(back, [300 - there[0], there[1]])


def test_a_head_on_its_side_is_turned_to_within_fifteen_degrees() -> None:
    box = np.array([0.0, 0.0, 100.0, 100.0])
    upright = np.array([[30.0, 40], [70, 40], [50, 60], [35, 78], [65, 78]])
    turned = (upright - 50) @ np.array([[0.0, 1], [-1, 0]]) + 50  # 90 degrees
    across = framing(box, turned)[:, 0]
    assert np.degrees(np.arctan2(across[1], across[0])) == pytest.approx(75)


def test_detected_crops_have_fer2013s_own_framing(fer2013: Path, yunet_file: Path) -> None:
    """300 images at 4x through detection: where the right crop is the whole picture."""
    from training.data import read_split
    from training.framing import enlarged

    grey = read_split(fer2013, "public_test").grey
    chosen = np.random.default_rng(1).choice(len(grey), 300, replace=False)
    detector, moved = YuNet(yunet_file), []
    for pixels in grey[chosen]:
        photo = enlarged(pixels)
        faces = detector.detect(photo)
        if len(faces) == 0:
            continue
        best = faces[np.array([faces.score.argmax()])]
        unit = np.array([[0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]])
        corners = align(photo, best).to_photo[0] @ unit
        moved.append(np.hypot(*(corners / 4 - unit[:2] * 48)).mean())
    assert len(moved) >= 290
    assert np.median(moved) <= 2.2
    assert np.percentile(moved, 90) <= 6.5
