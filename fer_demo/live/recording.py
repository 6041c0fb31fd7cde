"""What a stream showed, kept in memory: a row for each person, five times a second."""

from __future__ import annotations

import csv
import io
import json
import threading
from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_demo.types import EXPRESSIONS, Analysis

ROW_SECONDS = 0.2
"""Least time between two rows of one person; ten minutes of four people are 12,000 rows, 0.5 MB."""

GAP_SECONDS = 1.0
"""Who is away for longer was not there in between."""

MAX_ROWS = 100_000
"""Five hours of one person, 4 MB."""

COLUMNS = 4 + len(EXPRESSIONS)
UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Rows in the order of time; R = 0 is valid."""

    seconds: NDArray[np.float32]
    """(R,) since the start of the stream."""
    person: NDArray[np.int64]
    """(R,) the number of the face."""
    probs: NDArray[np.float32]
    """(R, 7), as they were shown: smoothed."""
    uncertain_below: NDArray[np.float32]
    """(R,) of the model that answered."""
    model: NDArray[np.int64]
    """(R,) index into `models`: it may be changed while the stream runs."""
    models: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def people(self) -> tuple[int, ...]:
        """The numbers that occur."""
        return tuple(np.unique(self.person).tolist())

    def of(self, person: int, since: float = 0.0) -> Timeline:
        """The rows of one person from `since` seconds on."""
        mine = (self.person == person) & (self.seconds >= since)
        return Timeline(
            self.seconds[mine],
            self.person[mine],
            self.probs[mine],
            self.uncertain_below[mine],
            self.model[mine],
            self.models,
        )

    def labels(self) -> NDArray[np.int64]:
        """(R,) index into EXPRESSIONS; -1 where the answer is "uncertain"."""
        top = self.probs.argmax(axis=1)
        return np.where(self.probs.max(axis=1, initial=0) < self.uncertain_below, -1, top)

    def held(self) -> NDArray[np.float64]:
        """(R,) how long each row of one person's stood, s: until the next, or a gap."""
        until = np.diff(self.seconds.astype(np.float64), append=np.inf)
        return np.where(until > GAP_SECONDS, ROW_SECONDS, until)

    def shares(self, person: int) -> dict[str, float]:
        """Share of a person's time for each expression and "uncertain"; they sum to 1."""
        mine = self.of(person)
        labels, held = mine.labels(), mine.held()
        names = (*EXPRESSIONS, UNCERTAIN)
        found = [held[labels == (i if i < len(EXPRESSIONS) else -1)].sum() for i in range(8)]
        total = held.sum() or 1.0
        return {name: float(n / total) for name, n in zip(names, found, strict=True)}

    def to_csv(self) -> bytes:
        """A row for each person and moment: time, person, model, label, and probabilities.

        UTF-8 with a mark, as `export.to_csv`.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        about = ("seconds", "person", "model", "label", "confidence")
        writer.writerow((*about, UNCERTAIN, *EXPRESSIONS))
        for row in self._rows():
            head = [row[k] for k in about]
            writer.writerow(
                [*head, str(row[UNCERTAIN]).lower(), *row["probabilities"].values()]  # type: ignore[attr-defined]
            )
        return out.getvalue().encode("utf-8-sig")

    def to_json(self) -> bytes:
        """Seconds and time shares of each person, then the same rows as the CSV."""
        people = [
            {
                "person": person,
                "seconds": round(float(self.of(person).held().sum()), 1),
                "time_share": {k: round(v, 4) for k, v in self.shares(person).items()},
            }
            for person in self.people
        ]
        record = {"people": people, "rows": self._rows()}
        return (json.dumps(record, allow_nan=False) + "\n").encode()

    def _rows(self) -> list[dict[str, object]]:
        return [
            {
                "seconds": round(float(at), 2),
                "person": int(person),
                "model": self.models[model],
                "label": EXPRESSIONS[int(probs.argmax())],
                "confidence": round(float(probs.max()), 4),
                UNCERTAIN: bool(probs.max() < below),
                "probabilities": {
                    k: round(float(p), 4) for k, p in zip(EXPRESSIONS, probs, strict=True)
                },
            }
            for at, person, probs, below, model in zip(
                self.seconds, self.person, self.probs, self.uncertain_below, self.model, strict=True
            )
        ]


class Recording:
    """Collects rows; written by the inference worker, read by the page."""

    def __init__(self) -> None:
        self._rows = array("f")  # seconds, person, threshold, index of the model, probabilities
        self._last: dict[int, float] = {}
        self._models: list[str] = []
        self._lock = threading.Lock()
        self.full_from: float | None = None
        """Seconds since the start from which on nothing is taken any more."""

    def add(self, analysis: Analysis, seconds: float) -> None:
        """Take the faces of one frame that are due for a row.

        Args:
            analysis: with `faces.track_id`.
            seconds: of the frame, since the start of the stream.
        """
        numbers = analysis.faces.track_id
        if numbers is None:
            return
        with self._lock:
            if analysis.model not in self._models:
                self._models.append(analysis.model)
            model = self._models.index(analysis.model)
            for person, probs in zip(numbers.tolist(), analysis.predictions.probs, strict=True):
                if seconds - self._last.get(person, -ROW_SECONDS) < ROW_SECONDS - 1e-3:
                    continue
                if len(self._rows) >= MAX_ROWS * COLUMNS:
                    if self.full_from is None:
                        self.full_from = seconds
                    return
                self._last[person] = seconds
                self._rows.extend(
                    (seconds, person, analysis.uncertain_below, model, *probs.tolist())
                )

    def timeline(self) -> Timeline:
        """Everything so far."""
        with self._lock:
            rows = np.array(self._rows, np.float32).reshape(-1, COLUMNS)
            models = tuple(self._models)
        person, model = rows[:, 1].astype(np.int64), rows[:, 3].astype(np.int64)
        return Timeline(rows[:, 0], person, rows[:, 4:], rows[:, 2], model, models)
