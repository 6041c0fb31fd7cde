from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from fer_demo import log
from fer_demo.bench.film import frame
from fer_demo.live.places import Places
from fer_demo.live.session import Ask, LiveSession
from fer_demo.live.worker import Worker
from tests.conftest import WAIT, until
from tests.live.conftest import people, play, video_frame


def test_a_callback_never_waits_for_a_slow_network(ask: Ask) -> None:
    class Slow:
        name, uncertain_below = "slow", 0.5

        def predict(self, crops):
            time.sleep(0.5)
            return ask.classifier.predict(crops)

    session = LiveSession(replace(ask, classifier=Slow()), Worker(), Places(1))
    took = []
    for k in range(20):
        start = time.monotonic()
        session.receive(video_frame(frame(1, k / 15)))
        took.append(time.monotonic() - start)
    assert np.median(took) < 0.2
    # The newest frame wins and none queue: a queue would have to work on all of them to get there.
    until(lambda: session.seen and session.seen.sequence == 20)
    assert session.status().analysed < 20
    session.end()


def test_two_streams_share_the_worker_and_nothing_else(ask: Ask) -> None:
    worker, places = Worker(), Places(2)
    sessions = [LiveSession(ask, worker, places) for _ in range(2)]
    done = threading.Event()

    def run(session: LiveSession, faces: int) -> None:
        k = 0
        while not done.is_set():
            session.receive(video_frame(frame(faces, k / 15), k))
            k += 1

    threads = [
        threading.Thread(target=run, args=(session, faces))
        for session, faces in zip(sessions, (1, 3), strict=True)
    ]
    for thread in threads:
        thread.start()
    start = time.monotonic()
    while [len(people(s)) for s in sessions] != [1, 3] and time.monotonic() - start < WAIT:
        time.sleep(0.05)
    counts = [s.recording.timeline().people for s in sessions]
    done.set()
    for thread in threads:
        thread.join()
    assert counts == [(1,), (1, 2, 3)]
    for session in sessions:
        session.end()


def test_a_broken_frame_stops_nothing(
    ask: Ask, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log.LOG, "propagate", True)  # the app's own handler has it alone

    class Broken:
        name, notice = "broken", None

        def detect(self, *_):
            raise RuntimeError("secret")

    worker = Worker()
    session = LiveSession(replace(ask, detector=Broken()), worker, Places(1))
    session.receive(video_frame(frame(1, 0)))
    until(lambda: "RuntimeError" in caplog.text)
    session.ask = ask
    play(session, lambda: people(session) == [1])
    assert "secret" not in caplog.text
    session.end()
