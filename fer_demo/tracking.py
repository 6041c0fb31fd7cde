"""Stable face numbers and steady probabilities across the frames of a stream.

Faces of one frame are assigned to the tracks of the frames before by overlap: the assignment with
the greatest sum of intersections over unions (Kuhn 1955, scipy's `linear_sum_assignment`), as in
SORT (Bewley et al. 2016, doi:10.1109/ICIP.2016.7533003), with a constant velocity in place of its
Kalman filter. A track that finds no face moves on unseen for a second before it is given up.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from fer_demo.faces import overlaps
from fer_demo.types import Faces

KEPT_SECONDS = 1.0
"""A face that comes back within this time keeps its number."""

LEAST_OVERLAP = 0.15
"""Boxes that overlap less than this, intersection over union, are never one face."""

SEEN_BEFORE_SHOWN = 2
"""A track gets its number with its second frame: what a detector sees once is mostly nothing."""

VELOCITY_MEMORY = 0.15
"""Time constant of the velocity, s: long against a detector's jitter, short against a turn."""

STRONGEST_SMOOTHING = 1.5
"""Time constant at strength 1, s."""


@dataclass(slots=True)
class _Track:
    box: NDArray[np.float64]
    """(4,) where the face was last seen."""
    seen_at: float
    velocity: NDArray[np.float64]
    """(2,) of the box's middle, px/s."""
    sightings: int = 1
    number: int | None = None

    def expected(self, now: float) -> NDArray[np.float64]:
        """(4,) where the box should be by now."""
        return self.box + np.tile(self.velocity * min(now - self.seen_at, KEPT_SECONDS), 2)

    def see(self, box: NDArray[np.float64], now: float) -> None:
        elapsed = now - self.seen_at
        if elapsed > 0:
            moved = ((box - self.box)[:2] + (box - self.box)[2:]) / 2 / elapsed
            # The first velocity is taken as it is; each later one moves the estimate.
            keep = np.exp(-elapsed / VELOCITY_MEMORY) if self.sightings > 1 else 0.0
            self.velocity = keep * self.velocity + (1 - keep) * moved
        self.box, self.seen_at = box, now
        self.sightings += 1


class Tracker:
    """Gives the faces of successive frames their numbers; one a stream, one thread at a time."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._numbers = itertools.count(1)
        self._updated = float("-inf")

    def update(self, faces: Faces, now: float) -> Faces:
        """The faces of the next frame that have a number, with `track_id` set, in their order.

        Args:
            faces: of one frame, any number.
            now: time of the frame, s, never less than before.
        """
        self._tracks = [t for t in self._tracks if self._alive(t, now)]
        self._updated = now
        boxes = faces.xyxy.astype(np.float64)
        expected = np.array([t.expected(now) for t in self._tracks]).reshape(-1, 4)
        overlap = overlaps(expected, boxes)
        overlap[overlap < LEAST_OVERLAP] = 0.0
        track_of: dict[int, _Track] = {}
        for row, column in zip(*linear_sum_assignment(overlap, maximize=True), strict=True):
            if overlap[row, column] > 0:
                self._tracks[row].see(boxes[column], now)
                track_of[int(column)] = self._tracks[row]
        for face in range(len(faces)):
            if face not in track_of:
                track_of[face] = _Track(boxes[face], now, np.zeros(2))
                self._tracks.append(track_of[face])
        return self._numbered(faces, [track_of[face] for face in range(len(faces))])

    def rescale(self, factor: float) -> None:
        """Carry the tracks over to frames that are `factor` times as large as those before."""
        for track in self._tracks:
            track.box, track.velocity = track.box * factor, track.velocity * factor

    def _alive(self, track: _Track, now: float) -> bool:
        # A stream that stalled has lost nobody who was there in its last frame.
        return track.seen_at == self._updated or now - track.seen_at <= KEPT_SECONDS

    def _numbered(self, faces: Faces, tracks: list[_Track]) -> Faces:
        for track in tracks:
            if track.number is None and track.sightings >= SEEN_BEFORE_SHOWN:
                track.number = next(self._numbers)
        shown = [face for face, track in enumerate(tracks) if track.number is not None]
        numbers = [tracks[face].number or 0 for face in shown]
        chosen = faces[np.array(shown, np.int64)]
        return replace(chosen, track_id=np.array(numbers, np.int64))


class Smoother:
    """Exponential averages of each track's logits: steady answers without a lasting memory.

    The average is taken in logit space, where a network's doubt and certainty are symmetric: one
    odd frame at 99 % does not outvote ten frames at 60 %. It runs in time, not in frames, so a
    slow stream is smoothed no more than a fast one.
    """

    def __init__(self) -> None:
        self._states: dict[int, tuple[float, NDArray[np.float32]]] = {}

    def smooth(
        self, logits: NDArray[np.float32], track_id: NDArray[np.int64], now: float, strength: float
    ) -> NDArray[np.float32]:
        """The averages that include these logits.

        Args:
            logits: (N, K) of one frame.
            track_id: (N,) whose they are.
            now: time of the frame, s.
            strength: 0 (none) to 1 (a time constant of 1.5 s); may change between frames.

        Returns:
            (N, K) float32.
        """
        time_constant = strength * STRONGEST_SMOOTHING
        self._states = {t: s for t, s in self._states.items() if now - s[0] <= KEPT_SECONDS}
        smooth = np.array(logits, np.float32)
        for row, track in enumerate(track_id.tolist()):
            before = self._states.get(track)
            if before is not None and time_constant > 0:
                keep = np.float32(np.exp(-(now - before[0]) / time_constant))
                smooth[row] += keep * (before[1] - smooth[row])
            self._states[track] = (now, smooth[row])
        return smooth
