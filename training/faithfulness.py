"""How much of an answer a map accounts for: deletion, insertion, ROAD, and random weights.

Shares are in [0, 1]; every measure gives one figure an image, so that methods can be compared in
pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.sparse.linalg import spsolve
from scipy.stats import rankdata
from torch import nn

from fer_demo.types import GREY_SIDE

Grey = NDArray[np.uint8]
Values = NDArray[np.floating[Any]]

Ask = Callable[[Grey], NDArray[np.float32]]
"""(M, 48, 48) uint8 to (M, 7) probabilities."""

PIXELS = GREY_SIDE * GREY_SIDE
BLUR = 6.0
"""Sigma of the baseline of deletion and insertion, px of 48: no expression is left to read."""

STEPS = 8
ROAD_SHARES = (0.2, 0.4, 0.6, 0.8)
ROAD_NOISE = 2.55
"""Standard deviation of what is added to imputed pixels, grey levels: 0.01 of their range."""


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Crops, their blurred selves, and the probability of the explained class for both."""

    grey: Grey
    """(N, 48, 48)."""
    blurred: Grey
    """(N, 48, 48)."""
    classes: NDArray[np.int64]
    """(N,) most probable class of `grey`."""
    whole: NDArray[np.float32]
    """(N,) its probability."""
    empty: NDArray[np.float32]
    """(N,) its probability once everything is blurred."""


def pictures(ask: Ask, grey: Grey) -> Pictures:
    """What all methods share."""
    blurred = np.stack([cv2.GaussianBlur(image, (0, 0), BLUR) for image in grey])
    probs, rows = ask(grey), np.arange(len(grey))
    classes = probs.argmax(1)
    return Pictures(grey, blurred, classes, probs[rows, classes], ask(blurred)[rows, classes])


def ranks(maps: Values, seed: int = 0) -> NDArray[np.int64]:
    """(N, 48, 48) rank of each pixel, 0 for the most important; ties are broken at random.

    A map that is zero over half of the face (a ReLU's) has no opinion there, and must not gain
    from the order in which pixels happen to be stored.
    """
    flat = maps.reshape(len(maps), -1)
    chance = np.random.default_rng(seed).random(flat.shape)
    order = np.lexsort((chance, -flat), axis=1)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(flat.shape[1])[None], axis=1)
    return rank.reshape(maps.shape)


def deletion_and_insertion(
    ask: Ask, shown: Pictures, rank: NDArray[np.int64]
) -> tuple[Values, Values]:
    """Areas under the deletion curve (lower is better) and the insertion curve (higher is better).

    Petsiuk et al. 2018, with a blurred baseline: pixels are blurred, or made sharp, the most
    important first, and the class's probability is followed.

    Returns:
        (N,) twice.
    """
    deletion, insertion = [shown.whole], [shown.empty]
    for step in range(1, STEPS):
        first = rank < PIXELS * step / STEPS
        deletion.append(_asked(ask, np.where(first, shown.blurred, shown.grey), shown.classes))
        insertion.append(_asked(ask, np.where(first, shown.grey, shown.blurred), shown.classes))
    deletion.append(shown.empty)
    insertion.append(shown.whole)
    return _area(deletion), _area(insertion)


def road(ask: Ask, shown: Pictures, rank: NDArray[np.int64], seed: int = 0) -> Values:
    """ROAD (Rong et al. 2022): probability kept when the least important pixels are imputed, less
    that kept when the most important are, halved and averaged over shares. Higher is better.

    Imputed pixels are averages of their neighbours, so that the hole's outline says little.

    Returns:
        (N,) in [-0.5, 0.5].
    """
    generator = np.random.default_rng(seed)
    gaps = []
    for share in ROAD_SHARES:
        most, least = rank < PIXELS * share, rank >= PIXELS * (1 - share)
        kept = [
            _asked(ask, imputed_batch(shown.grey, removed, generator), shown.classes)
            for removed in (least, most)
        ]
        gaps.append((kept[0] - kept[1]) / 2)
    return np.mean(gaps, axis=0)


def imputed_batch(grey: Grey, removed: NDArray[np.bool_], generator: np.random.Generator) -> Grey:
    """Crops whose removed pixels are imputed, with ROAD's little noise; (N, 48, 48) uint8."""
    filled = np.stack([imputed(one, gone) for one, gone in zip(grey, removed, strict=True)])
    noise = np.where(removed, generator.normal(0, ROAD_NOISE, filled.shape), 0.0)
    return np.clip(np.rint(filled + noise), 0, 255).astype(np.uint8)


def imputed(image: NDArray[Any], removed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Each removed pixel as the weighted mean of its eight neighbours, removed ones included.

    ROAD's system of linear equations: 1/6 for the four nearest, 1/12 for the diagonal four,
    normalised at the border.

    Args:
        image: (48, 48).
        removed: (48, 48); at least one pixel stays.
    """
    values = image.ravel().astype(np.float64)
    gone, known = np.flatnonzero(removed), np.flatnonzero(~removed)
    if len(gone):
        rows = _NEIGHBOURS[gone]
        system = sparse.identity(len(gone), format="csc") - rows[:, gone].tocsc()
        values[gone] = spsolve(system, rows[:, known] @ values[known])
    return values.reshape(image.shape)


def _neighbours() -> sparse.csr_matrix:
    """(2304, 2304) weights of each pixel's neighbours; rows sum to 1."""
    index = np.arange(PIXELS).reshape(GREY_SIDE, GREY_SIDE)
    y, x = np.mgrid[:GREY_SIDE, :GREY_SIDE]
    weights = sparse.lil_matrix((PIXELS, PIXELS))
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            inside = (y + dy >= 0) & (y + dy < GREY_SIDE) & (x + dx >= 0) & (x + dx < GREY_SIDE)
            if dy or dx:
                to = ((y + dy) * GREY_SIDE + x + dx)[inside]
                weights[index[inside], to] = 1 / 12 if dy and dx else 1 / 6
    rows = weights.tocsr()
    return sparse.diags(1 / np.asarray(rows.sum(axis=1)).ravel()) @ rows


_NEIGHBOURS = _neighbours().tocsr()


def _asked(ask: Ask, grey: Grey, classes: NDArray[np.int64]) -> NDArray[np.float32]:
    return ask(grey)[np.arange(len(grey)), classes]


def _area(curve: list[NDArray[np.float32]]) -> Values:
    """(N,) by the trapezoid rule over equal steps, 1 where the probability stays 1."""
    return np.trapezoid(np.stack(curve, axis=1), dx=1 / (len(curve) - 1), axis=1)


def rank_correlation(one: Values, other: Values) -> Values:
    """(N,) Spearman correlation of two sets of maps (N, h, w); 0 where one is flat."""
    a, b = (rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (one, other))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    size = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return np.where(size > 0, (a * b).sum(1) / np.where(size > 0, size, 1), 0.0)


def randomised_step_by_step(network: nn.Module) -> Iterator[str]:
    """Give a timm network new random weights, stage by stage from its last layer to its first.

    Adebayo et al. 2018, cascading. The network is changed in place; yields the name of each stage
    once it, and all after it, are random.
    """
    for name, module in reversed(list(network.named_children())):
        fresh = [part for part in module.modules() if hasattr(part, "reset_parameters")]
        for part in fresh:
            part.reset_parameters()  # type: ignore[operator]
        if fresh:
            yield name
