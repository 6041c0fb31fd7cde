from __future__ import annotations

from pathlib import Path

import numpy as np

from training.data import read_split
from training.duplicates import correlated_pairs, duplicate_groups, seen_in

GENERATOR = np.random.default_rng(0)
GREY = GENERATOR.integers(0, 256, (10, 48, 48)).astype(np.uint8)


def test_the_same_picture_in_other_light_is_the_same() -> None:
    darker = (GREY[[3, 7]] * 0.5 + 20).astype(np.uint8)
    assert correlated_pairs(darker, GREY).tolist() == [[0, 3], [1, 7]]
    assert seen_in(GREY, darker).nonzero()[0].tolist() == [3, 7]


def test_the_mirrored_picture_is_another() -> None:
    assert not seen_in(GREY[:, :, ::-1], GREY).any()


def test_flat_pictures_match_nothing() -> None:
    flat = np.full((2, 48, 48), 9, np.uint8)
    assert not seen_in(flat, flat).any()


def test_groups_hold_chains_together() -> None:
    grey = np.concatenate([GREY, GREY[[2, 2, 5]]])
    groups = duplicate_groups(grey)
    assert groups[2] == groups[10] == groups[11]
    assert groups[5] == groups[12]
    assert len(np.unique(groups)) == 10


def test_leaks_of_fer2013(fer2013: Path) -> None:
    train, test = read_split(fer2013, "train").grey, read_split(fer2013, "public_test").grey
    leaked = np.unique(correlated_pairs(test, train)[:, 1])
    assert len(leaked) == 395
    assert seen_in(train[leaked], test, 0.999).sum() == 363
