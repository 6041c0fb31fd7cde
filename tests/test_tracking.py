from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_demo.faces import overlaps
from fer_demo.tracking import KEPT_SECONDS, Smoother, Tracker
from fer_demo.types import Faces

FRAME = 1 / 15


def faces_at(*middles: tuple[float, float], side: float = 80.0) -> Faces:
    x, y = np.array(middles, np.float32).reshape(-1, 2).T
    half = side / 2
    xyxy = np.stack([x - half, y - half, x + half, y + half], axis=1).astype(np.float32)
    return Faces(xyxy, np.full(len(xyxy), 0.9, np.float32))


def numbers(faces: Faces) -> list[int]:
    assert faces.track_id is not None
    return faces.track_id.tolist()


def follow(
    paths: list[Callable[[float], tuple[float, float] | None]],
    seconds: float,
    jitter: float = 0.0,
    frame: float = FRAME,
) -> list[set[int]]:
    """The numbers that each path was given over the frames in which it was seen."""
    tracker, rng = Tracker(), np.random.default_rng(1)
    given_numbers: list[set[int]] = [set() for _ in paths]
    for now in np.arange(0, seconds, frame):
        seen = [(i, at) for i, path in enumerate(paths) if (at := path(now)) is not None]
        rng.shuffle(seen)  # the order of detections carries nothing
        middles = [(x + rng.normal(0, jitter), y + rng.normal(0, jitter)) for _, (x, y) in seen]
        shown = tracker.update(faces_at(*middles), float(now))
        for box, number in zip(shown.xyxy, numbers(shown), strict=True):
            middle = (box[:2] + box[2:]) / 2
            nearest = int(np.argmin([np.hypot(*(middle - m)) for m in middles]))
            given_numbers[seen[nearest][0]].add(number)
    return given_numbers


def test_a_moving_face_keeps_its_number() -> None:
    assert follow([lambda t: (60 + 200 * t, 200 + 40 * np.sin(3 * t))], 2.5, jitter=2) == [{1}]


def test_faces_that_cross_keep_their_numbers() -> None:
    there = lambda t: (100 + 150 * t, 200)  # noqa: E731
    back = lambda t: (550 - 150 * t, 215)  # noqa: E731
    first, second = follow([there, back], 3.0, jitter=1)
    assert len(first) == len(second) == 1
    assert first != second


def test_a_face_hidden_while_crossing_comes_back_with_its_number() -> None:
    there = lambda t: (100 + 150 * t, 200)  # noqa: E731
    back = lambda t: None if 1.2 < t < 1.8 else (550 - 150 * t, 210)  # noqa: E731
    first, second = follow([there, back], 3.0, jitter=1)
    assert len(first) == len(second) == 1
    assert first != second


def test_four_faces_with_random_drop_outs_keep_four_numbers() -> None:
    rng = np.random.default_rng(3)
    dropped = {(i, round(k * FRAME, 6)) for i in range(4) for k in range(150) if rng.random() < 0.2}

    def path(i: int) -> Callable[[float], tuple[float, float] | None]:
        def at(t: float) -> tuple[float, float] | None:
            if (i, round(t, 6)) in dropped:
                return None
            return 80 + 150 * i + 30 * np.sin(2 * t + i), 200 + 20 * np.cos(2 * t)

        return at

    assert sorted(map(sorted, follow([path(i) for i in range(4)], 10.0, jitter=2))) == [
        [1], [2], [3], [4],
    ]  # fmt: skip


@pytest.mark.parametrize(("away", "same"), [(0.8, True), (KEPT_SECONDS + 0.3, False)])
def test_a_lost_face_is_remembered_for_a_second(away: float, same: bool) -> None:
    (seen,) = follow([lambda t: None if 1 < t < 1 + away else (300, 200)], 3.0)
    assert (len(seen) == 1) == same


def test_a_stream_that_stalls_loses_nobody() -> None:
    tracker = Tracker()
    for now in (0.0, 0.1, 2.5, 5.0):
        shown = tracker.update(faces_at((200, 200), (400, 210)), now)
    assert numbers(shown) == [1, 2]


def test_numbers_and_speeds_are_carried_over_to_another_size_of_video() -> None:
    tracker = Tracker()
    for k in range(10):
        tracker.update(faces_at((60 + 40 * k, 200), (500 - 40 * k, 420)), 0.1 * k)
    tracker.rescale(0.5)
    # Two frames are missing, so that only the speed tells where they are by now.
    shown = tracker.update(faces_at((30 + 20 * 12, 100), (250 - 20 * 12, 210), side=40), 1.2)
    assert numbers(shown) == [1, 2]


def test_what_is_seen_once_gets_no_number() -> None:
    tracker = Tracker()
    assert numbers(tracker.update(faces_at((100, 100)), 0.0)) == []
    assert numbers(tracker.update(faces_at((400, 300), (102, 100)), 0.1)) == [1]
    assert numbers(tracker.update(faces_at((104, 100)), 0.2)) == [1]


def test_no_faces_are_no_trouble() -> None:
    tracker = Tracker()
    for now in (0.0, 0.1):
        assert len(tracker.update(Faces.none(), now)) == 0


def test_overlap_of_boxes() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float64)
    expected = np.array([[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(overlaps(boxes, boxes), expected)


def smoothed(values: list[float], strength: float, frame: float = FRAME) -> list[float]:
    smoother, track = Smoother(), np.array([1])
    return [
        float(smoother.smooth(np.array([[v]], np.float32), track, k * frame, strength)[0, 0])
        for k, v in enumerate(values)
    ]


def test_strength_zero_changes_nothing() -> None:
    assert smoothed([1.0, -2.0, 5.0], 0.0) == [1.0, -2.0, 5.0]


@settings(deadline=None)
@given(st.lists(st.floats(-20, 20), min_size=1, max_size=30), st.floats(0, 1))
def test_smoothing_stays_within_what_it_has_seen(values: list[float], strength: float) -> None:
    result = smoothed(values, strength)
    assert min(values) - 1e-3 <= min(result)
    assert max(result) <= max(values) + 1e-3


def test_more_strength_is_more_steady() -> None:
    noise = np.random.default_rng(0).normal(0, 2, 300).tolist()
    spread = [np.std(smoothed(noise, strength)) for strength in (0.0, 0.25, 0.5, 1.0)]
    assert spread == sorted(spread, reverse=True)


def test_smoothing_runs_in_time_not_in_frames() -> None:
    step = [0.0] + [1.0] * 90
    fast, slow = smoothed(step, 0.5, 1 / 30), smoothed(step[:46], 0.5, 1 / 15)
    assert fast[60] == pytest.approx(slow[30], abs=1e-4)


def test_a_person_who_returns_later_starts_afresh() -> None:
    smoother, track = Smoother(), np.array([1])
    smoother.smooth(np.array([[10.0]], np.float32), track, 0.0, 1.0)
    late = smoother.smooth(np.array([[0.0]], np.float32), track, 1.5, 1.0)
    assert late[0, 0] == 0.0


def test_people_do_not_mix() -> None:
    smoother = Smoother()
    smoother.smooth(np.array([[0.0], [8.0]], np.float32), np.array([1, 2]), 0.0, 1.0)
    again = smoother.smooth(np.array([[8.0], [0.0]], np.float32), np.array([2, 1]), 0.1, 1.0)
    assert again.tolist() == [[8.0], [0.0]]
