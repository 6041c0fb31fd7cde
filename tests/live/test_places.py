from __future__ import annotations

import weakref

from fer_demo.bench.film import frame
from fer_demo.live.places import SILENCE_SECONDS, Places
from fer_demo.live.session import Ask, LiveSession
from fer_demo.live.worker import Worker
from fer_demo.ui.housekeeping import settle
from tests.live.conftest import play, video_frame


def test_places_are_freed_by_silence() -> None:
    now = [0.0]
    places = Places(2, lambda: now[0])
    assert places.hold("a")
    assert places.hold("b")
    assert not places.hold("c")
    assert "All 2 live places are taken." in places.sentence()
    now[0] += SILENCE_SECONDS - 0.1
    assert places.hold("a")
    assert not places.hold("c")
    now[0] += 0.2  # b was last seen five seconds ago
    assert places.hold("c")
    places.free("c")
    places.free("c")
    assert places.taken == 1


def test_a_stream_without_a_place_is_told_so_and_not_analysed(ask: Ask) -> None:
    places = Places(1)
    assert places.hold("somebody")
    session = LiveSession(ask, Worker(), places)
    given = video_frame(frame(1, 0))
    assert session.receive(given) is given
    status = session.status()
    assert status.refused
    assert status.frames == 0
    places.free("somebody")
    play(session, lambda: session.status().analysed > 0)
    session.end()
    assert places.taken == 0


def test_a_place_keeps_no_stream_in_memory(ask: Ask) -> None:
    places = Places(1)
    session = LiveSession(ask, Worker(), places)
    assert session.hold_place()
    gone = weakref.ref(session)
    del session
    settle()
    assert gone() is None
    assert places.taken == 1, "until its silence frees it"
