"""The same picture twice: FER2013 leaks between its splits by itself.

Two 48x48 pictures are taken for one where their normalised correlation is 0.98 or more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from training.formats import DataError, LabelledFaces

SAME = 0.98
CHUNK = 2048


def correlated_pairs(
    a: NDArray[np.uint8], b: NDArray[np.uint8], threshold: float = SAME
) -> NDArray[np.int64]:
    """(P, 2) rows (i, j) where a[i] and b[j] correlate at `threshold` or more.

    Args:
        a: (N, 48, 48) uint8.
        b: (M, 48, 48) uint8.
    """
    x, y = _unit_rows(a), _unit_rows(b)
    pairs = [np.zeros((0, 2), np.int64)]
    for i in range(0, len(x), CHUNK):
        for j in range(0, len(y), CHUNK):
            found = np.argwhere(x[i : i + CHUNK] @ y[j : j + CHUNK].T >= threshold)
            pairs.append(found + np.array([i, j]))
    return np.concatenate(pairs)


def seen_in(
    test: NDArray[np.uint8], train: NDArray[np.uint8], threshold: float = SAME
) -> NDArray[np.bool_]:
    """(N,) which of the test pictures (N, 48, 48) are among the training pictures."""
    seen = np.zeros(len(test), bool)
    seen[correlated_pairs(test, train, threshold)[:, 0]] = True
    return seen


def fit_for_selection(faces: LabelledFaces, train: LabelledFaces) -> LabelledFaces:
    """The faces by which models may be chosen and calibrated: those in no training file.

    Raises:
        DataError: nothing may be chosen by this data, or all of it is in a training file.
    """
    if not faces.for_selection:
        raise DataError(faces.caution)
    kept = faces[~seen_in(faces.grey, train.grey)]
    if not len(kept):
        raise DataError("Every image is in the training data.")
    return kept


def duplicate_groups(grey: NDArray[np.uint8], threshold: float = SAME) -> NDArray[np.int64]:
    """(N,) group of each picture: pictures that are the same share one."""
    i, j = correlated_pairs(grey, grey, threshold).T
    graph = coo_array((np.ones(len(i), bool), (i, j)), shape=(len(grey), len(grey)))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _unit_rows(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 48 * 48) zero mean, unit length; flat pictures become zero and match nothing."""
    x = grey.reshape(len(grey), -1).astype(np.float32)
    x -= x.mean(1, keepdims=True)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, length, out=np.zeros_like(x), where=length > 1e-3)
