"""Tiny faces, tiny networks, tiny runs: every test trains for real, in seconds."""

from __future__ import annotations

import ctypes
import signal
import sys
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from training import export, train
from training.formats import LabelledFaces
from training.predict import predict_logits
from training.votes import FERPLUS_TO_EXPRESSIONS


class _SignalStack(ctypes.Structure):
    _fields_ = (
        ("ss_sp", ctypes.c_void_p),
        ("ss_flags", ctypes.c_int),
        ("ss_size", ctypes.c_size_t),
    )


@pytest.fixture(autouse=True)
def usual_stack_for_signals() -> None:
    """Take away the alternative signal stack that a library may have given this thread.

    Python's handlers run on it, and it is too small for the vector registers that the dynamic
    linker saves there: a SIGTERM to a process that has loaded everything ended it with SIGSEGV.
    """
    disable = _SignalStack(None, 2, 0)  # SS_DISABLE
    if sys.platform == "linux":
        ctypes.CDLL(None).sigaltstack(ctypes.byref(disable), None)


RECIPE = """
architecture = "test_convnext"
input_size = 32
epochs = 2
decay_epochs = 1
warmup_epochs = 0.5
batch_size = 16
precision = "fp32"
"""


def tiny_faces(n: int, seed: int = 0) -> LabelledFaces:
    """Mirror-symmetric pictures with a bright bar whose height tells the label, and votes."""
    generator = np.random.default_rng(seed)
    label = np.arange(n) % 7
    grey = generator.integers(0, 120, (n, 48, 48))
    for image, k in zip(grey, label, strict=True):
        image[6 * k + 2 : 6 * k + 8] += 120
    grey = (grey + grey[:, :, ::-1]) // 2
    votes = np.zeros((n, 10), np.uint8)
    votes[np.arange(n), np.array(FERPLUS_TO_EXPRESSIONS)[label]] = 7
    votes[:, 0] += 3
    return LabelledFaces(grey.astype(np.uint8), label.astype(np.int64), votes)


def write_parquet(path: Path, faces: LabelledFaces) -> None:
    """As the Hugging Face image convention has it."""
    images = [
        {"bytes": cv2.imencode(".png", grey)[1].tobytes(), "path": f"fer{i:07d}.png"}
        for i, grey in enumerate(faces.grey)
    ]
    columns = {"image": images, "label": faces.label.tolist()}
    if faces.votes is not None:
        columns["votes"] = faces.votes.tolist()
    pq.write_table(pa.table(columns), path)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of parquet shards: 64 images in two, 35 to test, of which 7 were seen."""
    folder = tmp_path_factory.mktemp("data")
    faces, test = tiny_faces(64), tiny_faces(35, seed=1)
    write_parquet(folder / "train-00000-of-00002.parquet", faces[:40])
    write_parquet(folder / "train-00001-of-00002.parquet", faces[40:])
    test.grey[:7] = faces.grey[:7]
    write_parquet(folder / "public_test.parquet", test)
    return folder


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path, recipe_file: Path) -> Path:
    """The folder of a finished run."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    assert run_training(recipe_file, tiny_data, out) == 0
    return out


def run_training(recipe: Path, data: Path, out: Path, *options: str) -> int:
    """`python -m training.train` in this process; returns its exit status."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return train.main(
            ["--recipe", str(recipe), "--data", str(data), "--out", str(out), *options]
        )
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def checkpoint(out: Path) -> dict:
    """The last checkpoint of a run."""
    return torch.load(out / "last.pt", weights_only=True)


def assert_same_weights(a: Path, b: Path) -> None:
    """The last checkpoints of two runs agree to the last bit."""
    one, other = checkpoint(a), checkpoint(b)
    assert one["step"] == other["step"]
    for part in ("model", "ema"):
        assert one[part].keys() == other[part].keys()
        for name, tensor in one[part].items():
            assert torch.equal(tensor, other[part][name]), f"{part}.{name}"


@pytest.fixture
def weights(tiny_run: Path, tmp_path: Path) -> Path:
    assert export.main(["--run", str(tiny_run), "--to", str(tmp_path / "tiny")]) == 0
    return tmp_path / "tiny"


def logits_of(network: torch.nn.Module) -> torch.Tensor:
    return predict_logits(network, torch.from_numpy(tiny_faces(20).grey), 32)
