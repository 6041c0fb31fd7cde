"""How often a model's answers were right on the test pictures, as its card tells it.

The table is cross-fitted: every answer in it was calibrated on other pictures (`training.calibrate`
writes it). It is about FER2013's pictures with FER+'s labels, and about nothing else.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ENOUGH = 20
"""Answers below which a share says little; all expressions of that confidence serve instead."""

SAME = 0.015
"""Thresholds closer than this are one to a person."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Answers alike, and how many were right."""

    right: int
    n: int
    low: float
    high: float
    """The span of their confidence, in [0, 1]."""
    label: str | None
    """The expression that was named; None where answers of every expression are counted."""


@dataclass(frozen=True, slots=True)
class Trade:
    """What comes of answering only from some confidence on."""

    limit: float
    coverage: float
    """Share of the pictures that gets an answer."""
    accuracy: float
    """Share of these answers that is right."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The table of one model."""

    edges: tuple[float, ...]
    """Of the bins of confidence, from 0 to 1."""
    counts: Mapping[str, tuple[tuple[int, int], ...]]
    """By label, and for "all": (right, n) of each bin."""
    mistaken: Mapping[str, str]
    """By label: what people said most often where it was wrong."""
    fitted: Trade
    """The card's own threshold, as it did on pictures that it was not fitted on."""

    @classmethod
    def read(cls, calibration: Mapping[str, Any], uncertain_below: float) -> Answers | None:
        """From a card's calibration; None where it has no table.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is not what `training.calibrate`
                writes.
        """
        if not calibration:
            return None
        edges = tuple(float(edge) for edge in calibration["edges"])
        if len(edges) < 2 or any(a >= b for a, b in itertools.pairwise(edges)):
            raise ValueError("the edges of the calibration's bins do not rise")
        counts, mistaken = {}, {}
        for label, entry in calibration["answers"].items():
            pairs = [(int(r), int(n)) for r, n in zip(entry["right"], entry["n"], strict=True)]
            if len(pairs) != len(edges) - 1 or not all(0 <= right <= n for right, n in pairs):
                raise ValueError(f'the calibration\'s counts of "{label}" make no sense')
            counts[str(label)] = tuple(pairs)
            if entry.get("confused_with"):
                mistaken[str(label)] = str(entry["confused_with"])
        if not any(n for _, n in counts["all"]):
            raise ValueError("the calibration counts no answers")
        held = calibration["at_threshold"]
        fitted = Trade(uncertain_below, float(held["coverage"]), float(held["accuracy"]))
        return cls(edges, counts, mistaken, fitted)

    def like(self, label: str, confidence: float) -> Rate | None:
        """Answers of this label and about this confidence; of any label where those are few."""
        spans = list(itertools.pairwise(self.edges))
        at = next((i for i, (_, high) in enumerate(spans) if confidence < high), len(spans) - 1)
        for name in (label, None):
            right, n = self.counts.get(name or "all", ((0, 0),) * len(spans))[at]
            if n >= ENOUGH:
                return Rate(right, n, *spans[at], name)
        return None

    def trades(self) -> tuple[Trade, ...]:
        """What answering from each confidence on gives, the most answers first."""
        total = sum(n for _, n in self.counts["all"])
        found = [self.fitted]
        for i, limit in enumerate(self.edges[:-1]):
            right = sum(r for r, _ in self.counts["all"][i:])
            n = sum(n for _, n in self.counts["all"][i:])
            tells_more = i == 0 or ENOUGH <= n < total
            if tells_more and abs(limit - self.fitted.limit) > SAME:
                found.append(Trade(limit, n / total, right / n))
        return tuple(sorted(found, key=lambda trade: trade.limit))
