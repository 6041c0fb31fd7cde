"""FER+ votes: the soft target that training uses, and the two labels that papers report."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FERPLUS_COLUMNS = (
    "neutral", "happiness", "surprise", "sadness", "anger",
    "disgust", "fear", "contempt", "unknown", "NF",
)  # fmt: skip
"""FER+'s own order of votes."""

FERPLUS_TO_EXPRESSIONS = (4, 5, 6, 1, 3, 2, 0, 7)
"""Columns of FER+ in the order of `fer_demo.types.FERPLUS_EXPRESSIONS`."""

UNKNOWN, NOT_A_FACE = 8, 9

_COLUMN_TO_EXPRESSION = np.full(10, -1, np.int64)
_COLUMN_TO_EXPRESSION[list(FERPLUS_TO_EXPRESSIONS)] = np.arange(8)


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


def is_tie(votes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(N,) whether the largest count of votes is shared by two columns."""
    return (votes == votes.max(1, keepdims=True)).sum(1) > 1


def vote_entropy(votes: NDArray[np.uint8], expressions: int) -> NDArray[np.float64]:
    """(N,) entropy in nats of the votes for the seven basic expressions, or for those and
    contempt (8); NaN without any."""
    given = votes[:, FERPLUS_TO_EXPRESSIONS[:expressions]].astype(np.float64)
    total = given.sum(1, keepdims=True)
    share = np.divide(given, total, out=np.full_like(given, np.nan), where=total > 0)
    return -(share * np.log(np.where(share > 0, share, 1))).sum(1)
