"""Places for heavy work: how many, who waits, who is told that it is busy."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fer_demo.errors import Busy
from fer_demo.slots import SENTENCE, Slots
from tests.conftest import until


def hold(slots: Slots, held: threading.Event, release: threading.Event) -> None:
    with slots.take():
        held.set()
        release.wait(10)


def fill(pool: ThreadPoolExecutor, slots: Slots, count: int, release: threading.Event) -> None:
    """One place is held, and the others are waited for."""
    held = threading.Event()
    for _ in range(count):
        pool.submit(hold, slots, held, release)
    until(lambda: held.is_set() and slots.taken >= count)


def test_no_more_run_at_a_time_than_there_are_places() -> None:
    slots, lock, running, most = Slots(2, 20), threading.Lock(), 0, 0

    def work(_: int) -> None:
        nonlocal running, most
        with slots.take():
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.005)
            with lock:
                running -= 1

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(work, range(20)))
    assert most == 2
    assert slots.taken == 0


def test_a_full_queue_says_so_at_once_and_recovers() -> None:
    slots, release = Slots(1, 2), threading.Event()
    with ThreadPoolExecutor(3) as pool:
        fill(pool, slots, 3, release)
        start = time.monotonic()
        with pytest.raises(Busy, match="Try again"), slots.take():
            pass
        assert time.monotonic() - start < 1
        release.set()
    with slots.take():
        assert slots.taken == 1


def test_who_waits_too_long_is_told() -> None:
    slots, release = Slots(1, 2, patience=0.05), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        fill(pool, slots, 1, release)
        with pytest.raises(Busy) as caught, slots.take():
            pass
        assert str(caught.value) == SENTENCE
        assert slots.taken == 1
        release.set()


@pytest.mark.parametrize("error", [ValueError, MemoryError, KeyboardInterrupt])
def test_a_place_is_free_again_after_a_failure(error: type[BaseException]) -> None:
    slots = Slots(1, 0)
    for _ in range(3):
        with pytest.raises(error), slots.take():
            raise error
        assert slots.taken == 0


def test_a_place_is_free_again_after_success() -> None:
    slots = Slots(1, 0)
    for _ in range(3):
        with slots.take():
            assert slots.taken == 1
        assert slots.taken == 0


def test_who_was_let_in_is_served_to_the_end_of_the_visit() -> None:
    slots, release = Slots(1, 1), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with slots.visit():
            with slots.take():
                assert slots.taken == 1
            assert slots.taken == 1  # between two pictures, too
            fill(pool, slots, 2, release)  # another comes, and the queue is full
            release.set()
            with slots.take():
                pass
        until(lambda: slots.taken == 0)


def test_a_visit_inside_another_ends_with_the_outer_one() -> None:
    slots = Slots(1, 0)
    with slots.visit():
        for _ in range(2):
            with slots.visit():
                with slots.take():
                    pass
                assert slots.taken == 1
            assert slots.taken == 1
    assert slots.taken == 0


def test_a_visit_inside_another_is_let_in_once() -> None:
    slots = Slots(1, 0)
    with slots.visit(let_in=True):
        with slots.visit(let_in=True):
            assert slots.taken == 1
        with pytest.raises(ValueError, match="made"), slots.visit(), slots.take():
            raise ValueError("made for this test")
        assert slots.taken == 1
    assert slots.taken == 0


def test_a_visit_that_finds_the_queue_full_is_told_and_may_ask_again() -> None:
    slots, release = Slots(1, 0), threading.Event()
    with ThreadPoolExecutor(1) as pool, slots.visit():
        fill(pool, slots, 1, release)
        with pytest.raises(Busy), slots.take():
            pass
        release.set()
        until(lambda: not slots.taken)
        with slots.take():
            assert slots.taken == 1
    assert slots.taken == 0


def test_a_visit_is_over_however_it_ends() -> None:
    slots = Slots(1, 0)
    for _ in range(3):
        with pytest.raises(ValueError, match="made"), slots.visit(), slots.take():
            raise ValueError("made for this test")
        assert slots.taken == 0


def test_a_visit_that_goes_on_waits_in_a_full_queue_instead_of_being_refused() -> None:
    slots, release = Slots(1, 0), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        fill(pool, slots, 1, release)
        with slots.visit(let_in=True):
            assert slots.taken == 2
            release.set()
            with slots.take():
                pass
        until(lambda: slots.taken == 0)
