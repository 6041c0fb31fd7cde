"""Truncated and damaged files of every accepted format."""

from __future__ import annotations

import numpy as np
import pytest

from fer_demo.types import Photo
from tests.hostile.corpus import FORMATS, sample
from tests.hostile.limits import outcome, photo

TRUNCATIONS = 200
FLIPS = 1000


@pytest.mark.parametrize("format", FORMATS)
def test_the_whole_file_is_read(format: str) -> None:
    assert photo(sample(format)).rgb.shape == (64, 64, 3)


@pytest.mark.parametrize("format", FORMATS)
def test_a_truncated_file_is_read_or_refused(format: str) -> None:
    data = sample(format)
    cuts = np.linspace(0, len(data) - 1, TRUNCATIONS).astype(int)
    results = [outcome(data[:cut]) for cut in cuts]
    assert sum(isinstance(result, str) for result in results) > TRUNCATIONS / 2


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_with_a_wrong_byte_is_read_or_refused(format: str) -> None:
    data, rng = sample(format), np.random.default_rng(1)
    read = 0
    for _ in range(FLIPS):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= rng.integers(1, 256)
        read += isinstance(outcome(bytes(damaged)), Photo)
    assert 0 < read < FLIPS
