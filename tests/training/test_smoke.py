"""From data to calibrated weights, on a small sample, for real."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import ROOT
from tests.training.conftest import run_training
from training import calibrate, evaluate, export

TRAIN, TEST = 5_000, 1_000
"""Images of the sample: the first of each split."""

LEVEL = 0.33
"""Accuracy to be passed; "happy" for everything gives 0.25."""


@pytest.mark.skipif(
    "1" not in (os.environ.get("FER_SMOKE"), os.environ.get("FER_REQUIRE_ALL")),
    reason="takes a minute of two cores: FER_SMOKE=1 runs it",
)
def test_smoke_recipe_learns(fer2013: Path, tmp_path: Path) -> None:
    data, run, weights = tmp_path / "data", tmp_path / "run", tmp_path / "smoke"
    data.mkdir()
    for name, source, n in (
        ("train", "train-00000-of-00002", TRAIN),
        ("public_test", "public_test", TEST),
    ):
        sample = pq.read_table(fer2013 / f"{source}.parquet").slice(0, n)
        pq.write_table(sample, data / f"{name}.parquet")
    assert run_training(ROOT / "training/recipes/smoke.toml", data, run) == 0
    assert export.main(["--run", str(run), "--to", str(weights)]) == 0
    assert calibrate.main(["--weights", str(weights), "--data", str(data)]) == 0
    out = tmp_path / "results.json"
    measure = ["--weights", str(weights), "--data", str(data), "--json", str(out)]
    assert evaluate.main(measure) == 0
    results = json.loads(out.read_text())["results"]["smoke"]
    assert results["fer2013"]["accuracy"] > LEVEL
    assert results["ferplus7"]["ece"] < 0.1
