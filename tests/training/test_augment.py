from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from fer_demo.crops import network_input
from training.augment import _low_resolution, augment, random_affine
from training.recipe import Recipe

OFF = Recipe("resnet18", rotation=0, shift=0, scale=0, contrast=0, erase=0, degrade=0)
ON = Recipe("resnet18", cover=0.1)
GREY = torch.randint(0, 256, (60, 48, 48), dtype=torch.uint8, generator=torch.manual_seed(0))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_nothing_but_flips_remains_when_all_is_off() -> None:
    plain = network_input(GREY, 64)
    x = augment(GREY, 64, OFF, seeded())
    same = (x - plain).abs().amax((1, 2, 3)) < 1e-4
    flipped = (x - plain.flip(-1)).abs().amax((1, 2, 3)) < 1e-4
    assert (same ^ flipped).all()
    assert 10 < same.sum() < 50


def test_only_the_generator_decides() -> None:
    a, b = (augment(GREY, 64, ON, seeded(7)) for _ in range(2))
    assert torch.equal(a, b)
    assert not torch.equal(a, augment(GREY, 64, ON, seeded(8)))


@pytest.mark.parametrize(
    "name", ["rotation", "shift", "scale", "contrast", "cover", "erase", "degrade"]
)
def test_each_setting_changes_pictures_and_keeps_them_in_range(name: str) -> None:
    recipe = replace(OFF, **{name: getattr(ON, name)})
    x = augment(GREY, 48, recipe, seeded())
    assert x.shape == (60, 1, 48, 48)
    assert torch.isfinite(x).all()
    assert x.abs().max() < 4
    assert not torch.equal(x, augment(GREY, 48, OFF, seeded()))


def test_the_affine_stays_within_its_ranges() -> None:
    warp = random_affine(5000, ON, seeded())
    zoom = torch.linalg.det(warp[:, :, :2]).abs().sqrt()
    angle = torch.atan2(-warp[:, 0, 1], warp[:, 1, 1])
    assert (1 - ON.scale) - 1e-5 <= zoom.min() < 0.87
    assert 1.16 < zoom.max() <= 1 / (1 - ON.scale) + 1e-5
    assert 14 < math.degrees(angle.abs().max()) <= 15.001
    assert 0.19 < warp[:, :, 2].abs().max() <= 0.2


def test_erasing_takes_its_share() -> None:
    erased = augment(GREY, 48, replace(OFF, erase=1.0), seeded())
    plain = augment(GREY, 48, replace(OFF, erase=1e-9), seeded())
    changed = (erased != plain).float().mean((1, 2, 3))
    assert (changed > 0).all()
    assert changed.max() < 0.27
    assert 0.04 < changed.mean() < 0.14


def test_covering_hides_the_mouth_of_one_half_and_the_eyes_of_the_other() -> None:
    covered = augment(GREY, 48, replace(OFF, cover=1.0), seeded())
    plain = augment(GREY, 48, replace(OFF, cover=1e-9), seeded())
    eyes, mouth = ((covered != plain)[:, 0, row, 24] for row in (19, 36))
    assert (eyes ^ mouth).all()
    assert 15 < mouth.sum() < 45


def test_covering_takes_its_share() -> None:
    covered = augment(GREY, 48, replace(OFF, cover=0.2), seeded())
    plain = augment(GREY, 48, replace(OFF, cover=1e-9), seeded())
    assert 4 < (covered != plain).any(3).any(2).sum() < 20


@pytest.mark.parametrize("n", [7, 8, 9])
def test_all_of_a_batch_can_be_degraded(n: int) -> None:
    degraded = augment(GREY[:n], 48, replace(OFF, flip=0, degrade=1.0), seeded())
    plain = augment(GREY[:n], 48, replace(OFF, flip=0), seeded())
    assert (degraded != plain).any(3).any(2).sum() >= n - 2


def test_low_resolution_is_what_a_small_face_becomes_in_the_app() -> None:
    # Noise has no right answer below a pixel: a face's smoothness is what is compared.
    smooth = cv2.GaussianBlur(np.moveaxis(GREY[:8].numpy(), 0, 2), (0, 0), 2)
    grey = cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)  # type: ignore[call-overload]
    sides = [10, 12, 17, 20, 25, 31, 38, 47]
    wanted = [
        cv2.resize(
            cv2.resize(grey[:, :, i], (side, side), interpolation=cv2.INTER_AREA),
            (48, 48),
            interpolation=cv2.INTER_LINEAR if i % 2 else cv2.INTER_CUBIC,
        )
        for i, side in enumerate(sides)
    ]
    x = network_input(torch.from_numpy(np.moveaxis(grey, 2, 0).copy()), 96)
    low = _low_resolution(x, torch.tensor(sides, dtype=torch.float32))
    off = (low - network_input(torch.from_numpy(np.stack(wanted)), 96)).abs().mean((1, 2, 3))
    assert off.max() < 0.02
    assert (off < 0.3 * (low - x).abs().mean((1, 2, 3)))[:4].all()


@pytest.mark.parametrize("n", [1, 2, 5, 16])
def test_small_batches(n: int) -> None:
    assert augment(GREY[:n], 32, ON, seeded()).shape == (n, 1, 32, 32)
