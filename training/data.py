"""FER2013 with FER+ votes, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fer_demo.types import GREY_SIDE

FERPLUS_COLUMNS = (
    "neutral", "happiness", "surprise", "sadness", "anger",
    "disgust", "fear", "contempt", "unknown", "NF",
)  # fmt: skip
"""FER+'s own order of votes."""

FERPLUS_TO_EXPRESSIONS = (4, 5, 6, 1, 3, 2, 0, 7)
"""Columns of FER+ in the order of `fer_demo.types.FERPLUS_EXPRESSIONS`."""

UNKNOWN, NOT_A_FACE = 8, 9


class DataError(ValueError):
    """Data that cannot be used; the message is a sentence naming the file and row."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFaces:
    """Face crops with FER2013's label and, where they are known, FER+ votes."""

    grey: NDArray[np.uint8]
    """(N, 48, 48) uint8."""
    label: NDArray[np.int64]
    """(N,) index into EXPRESSIONS."""
    votes: NDArray[np.uint8] | None
    """(N, 10) FER+ annotators' votes in FERPLUS_COLUMNS' order."""

    def __len__(self) -> int:
        return len(self.grey)

    def __getitem__(self, index: NDArray[np.integer] | slice) -> LabelledFaces:
        """The rows at `index`, in that order."""
        votes = None if self.votes is None else self.votes[index]
        return LabelledFaces(self.grey[index], self.label[index], votes)


def ferplus_target(votes: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """FER+ votes as a soft target over the eight expressions.

    Single votes are dropped where two or more votes remain without them. The weight is the share
    of the ten annotators that the target stands for, 0 where "unknown" or "not a face" leads.

    Args:
        votes: (N, 10).

    Returns:
        (N, 8) float32, rows sum to 1 (or are 0 where the weight is), and (N,) float32 in [0, 1].
    """
    eight = votes[:, FERPLUS_TO_EXPRESSIONS].astype(np.float32)
    shared = np.where(eight > 1, eight, 0)
    kept = np.where(shared.sum(1, keepdims=True) >= 2, shared, eight)
    total = kept.sum(1)
    leads = votes.argmax(1)
    weight = np.where((leads == UNKNOWN) | (leads == NOT_A_FACE), 0, total / 10)
    target = kept / np.maximum(total, 1)[:, None]
    return target.astype(np.float32), weight.astype(np.float32)


def ferplus8_label(votes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Strict majority over eight expressions, -1 where there is none.

    Over all ten columns single votes are set to 0; an image keeps its label if the largest is more
    than half of what remains and is one of the eight expressions.
    """
    kept = np.where(votes > 1, votes, 0).astype(np.int64)
    winner, largest = kept.argmax(1), kept.max(1)
    clear = (2 * largest > kept.sum(1)) & (winner < UNKNOWN)
    return np.where(clear, _COLUMN_TO_EXPRESSION[winner], -1)


def ferplus7_label(votes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Argmax over all ten columns (first in FER+ order on ties), -1 unless a basic expression."""
    label = _COLUMN_TO_EXPRESSION[votes.argmax(1)]
    return np.where(label < 7, label, -1)


_COLUMN_TO_EXPRESSION = np.full(10, -1, np.int64)
_COLUMN_TO_EXPRESSION[list(FERPLUS_TO_EXPRESSIONS)] = np.arange(8)


def read_parquet(files: list[Path]) -> LabelledFaces:
    """Shards of the Hugging Face image convention, in the order given."""
    grey, label, votes = [], [], []
    for file in files:
        table = pq.read_table(file, columns=["image", "label", "votes"])
        for row, image in enumerate(table["image"].to_pylist()):
            pixels = cv2.imdecode(np.frombuffer(image["bytes"], np.uint8), cv2.IMREAD_GRAYSCALE)
            if pixels is None or pixels.shape != (GREY_SIDE, GREY_SIDE):
                raise DataError(f"{file}, row {row}: not a 48x48 picture.")
            grey.append(pixels)
        label.append(table["label"].to_numpy())
        votes.append(np.array(table["votes"].to_pylist(), np.uint8))
    return LabelledFaces(np.stack(grey), np.concatenate(label).astype(np.int64), np.concatenate(votes))


def read_split(data: Path, split: str) -> LabelledFaces:
    """The "train" or "public_test" split of a folder of parquet shards."""
    files = sorted(data.glob(f"{split}*.parquet"))
    if not files:
        raise DataError(f"{data} holds no {split}*.parquet.")
    return read_parquet(files)
