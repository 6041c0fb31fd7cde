from __future__ import annotations

import csv
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import timm
import torch

from fer_demo.bench.film import frame
from fer_demo.classifier import Classifier, EvidenceNetwork, torch_engine
from fer_demo.faces import YuNet
from fer_demo.live.charts import strips
from fer_demo.live.drawing import Look, draw_frame
from fer_demo.live.places import SILENCE_SECONDS, Places
from fer_demo.live.recording import Recording
from fer_demo.live.session import MAX_MOMENTS, MOMENT_GAP, Ask, LiveSession
from fer_demo.live.worker import Worker
from fer_demo.types import EXPRESSIONS, FERPLUS7_HEAD, Analysis, Crops, ModelCard, Predictions
from tests.analyses import HAPPY, SAD_OR_NEUTRAL, made_analysis

WAIT = 60.0
"""Seconds until a test gives up; a busy machine is slow, not wrong."""


@pytest.fixture(scope="module")
def ask(yunet_file: Path) -> Ask:
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", in_chans=1, num_classes=15)
    card = ModelCard("tiny", "test_resnet", 96, 32, 0.5, 0.5, {}, 0.1, "mit", "", 0)
    small = EvidenceNetwork(network, FERPLUS7_HEAD, 96, 0.5, 0.5).eval()
    return Ask(YuNet(yunet_file), Classifier(card, torch_engine(small, torch.device("cpu"))))


@pytest.fixture
def session(ask: Ask) -> Iterator[LiveSession]:
    session = LiveSession(ask, Worker(), Places(2))
    yield session
    session.end()


def video_frame(rgb: np.ndarray, pts: int = 0) -> av.VideoFrame:
    video = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
    video.pts = pts
    return video


def play(
    session: LiveSession,
    until: Callable[[], object],
    faces: int = 1,
    rate: float = 30.0,
) -> np.ndarray:
    """Feed the film until something holds; the last frame that came back, RGB."""
    start, out = time.monotonic(), np.zeros(0)
    for k in range(10_000):
        out = session.receive(video_frame(frame(faces, k / rate), k)).to_ndarray(format="rgb24")
        if until():
            return out
        assert time.monotonic() - start < WAIT, "the stream got nowhere"
        time.sleep(1 / rate)
    raise AssertionError


def until(holds: Callable[[], object]) -> None:
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < WAIT, "it never happened"
        time.sleep(0.005)


def people(session: LiveSession) -> list[int]:
    if session.seen is None or session.seen.analysis.faces.track_id is None:
        return []
    return session.seen.analysis.faces.track_id.tolist()


@pytest.mark.parametrize("faces", [1, 4])
def test_frames_come_back_with_numbered_boxes(session: LiveSession, faces: int) -> None:
    # The delay is known when a drawn frame is sent: with the one after it.
    out = play(session, lambda: len(people(session)) == faces and session.status().delay, faces)
    assert out.shape == (480, 640, 3)
    assert people(session) == list(range(1, faces + 1))
    status = session.status()
    assert status.frames >= status.analysed > 0
    assert status.rate > 0
    assert 0 < status.delay < WAIT


def test_numbers_stay_while_people_move(session: LiveSession) -> None:
    play(session, lambda: session.status().analysed >= 40, faces=4)
    assert people(session) == [1, 2, 3, 4]
    assert session.recording.timeline().people == (1, 2, 3, 4)


def test_numbers_stay_when_the_video_changes_its_size(session: LiveSession) -> None:
    def small(k: int) -> np.ndarray:
        return cv2.resize(frame(4, k / 30), (320, 240), interpolation=cv2.INTER_AREA)

    play(session, lambda: people(session) == [1, 2, 3, 4], faces=4)
    for k, rgb in enumerate((small(0), frame(4, 0), small(0), small(0))):
        before = session.status().analysed
        session.receive(video_frame(rgb, k))
        until(lambda n=before: session.status().analysed > n)
    assert people(session) == [1, 2, 3, 4]


def test_a_frame_of_another_size_gets_no_boxes_of_the_old_one(session: LiveSession) -> None:
    session.ask = replace(session.ask, look=Look(mirror=False))
    play(session, lambda: people(session) == [1])
    session.work = lambda: None  # type: ignore[method-assign]  # nothing new is found
    grey = np.full((240, 320, 3), 128, np.uint8)
    out = session.receive(video_frame(grey)).to_ndarray(format="rgb24")
    assert np.ptp(out) < 8


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


def test_the_delay_lasts_until_the_frame_is_sent_which_is_with_the_next(
    session: LiveSession,
) -> None:
    play(session, lambda: people(session) == [1])
    for k in range(12):
        time.sleep(0.3)
        session.receive(video_frame(frame(1, k / 3), k))
    assert session.status().delay > 0.3


def test_settings_change_while_it_runs(session: LiveSession, ask: Ask) -> None:
    def differs(look: Look) -> float:
        seen = session.seen
        assert seen is not None
        rgb = frame(1, 0)
        plain = draw_frame(rgb, seen.analysis, Look(mirror=False), seen.scale)
        return float(np.abs(draw_frame(rgb, seen.analysis, look, seen.scale) - plain).mean())

    play(session, lambda: people(session) == [1])
    overlay = Look(overlay=True, mirror=False)
    assert differs(overlay) > 0.5
    assert differs(replace(overlay, opacity=0.0)) == 0.0
    assert differs(Look(blur_others=True, mirror=False)) > 0.5
    before = session.status().analysed
    session.ask = replace(ask, look=Look(overlay=True, expression="sad"), smoothing=1.0)
    play(session, lambda: session.status().analysed > before + 2)


def test_after_a_change_of_model_the_old_one_has_no_say(session: LiveSession, ask: Ask) -> None:
    class Loud:
        name, uncertain_below = "loud", 0.5

        def predict(self, crops: Crops) -> Predictions:
            found = ask.classifier.predict(crops)
            logits = np.tile(np.float32([0, 0, 0, 0, 9, 0, 0]), (len(crops), 1))
            return replace(found, logits=logits, evidence=100 * found.evidence)

    session.ask = replace(ask, smoothing=1.0)
    play(session, lambda: people(session) == [1])
    before = session.seen
    session.ask = replace(ask, classifier=Loud(), smoothing=1.0)
    play(session, lambda: session.seen and session.seen.analysis.model == "loud")
    first = session.seen
    assert before is not None
    assert first is not None
    np.testing.assert_allclose(first.analysis.predictions.logits, [[0, 0, 0, 0, 9, 0, 0]])
    assert first.scale > 20 * before.scale


def test_a_mirror_turns_the_picture_and_not_the_letters(session: LiveSession) -> None:
    play(session, lambda: people(session) == [1])
    seen = session.seen
    assert seen is not None
    rgb = frame(1, 0)
    plain = draw_frame(rgb, None, Look(mirror=True))
    np.testing.assert_array_equal(plain, rgb[:, ::-1])
    drawn = draw_frame(rgb, seen.analysis, Look(mirror=True), 1.0)
    straight = draw_frame(rgb, seen.analysis, Look(mirror=False), 1.0)
    assert not np.array_equal(drawn, straight[:, ::-1])


def test_blur_hides_all_but_faces() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (400, 640, 3), np.uint8)
    analysis = made_analysis([HAPPY])  # box 20..120 x 60..180
    out = draw_frame(rgb, replace_faces(analysis), Look(blur_others=True, mirror=False))
    np.testing.assert_array_equal(out[80:160, 40:100], rgb[80:160, 40:100])
    assert out[200:, 300:].std() < 0.3 * rgb.std()
    nobody = draw_frame(rgb, None, Look(blur_others=True, mirror=False))
    assert nobody.std() < 0.3 * rgb.std()


def replace_faces(analysis: Analysis, *numbers: int) -> Analysis:
    ids = np.array(numbers or range(1, len(analysis) + 1), np.int64)
    return replace(analysis, faces=replace(analysis.faces, track_id=ids))


def test_evidence_is_drawn_where_it_belongs() -> None:
    rgb = np.full((400, 640, 3), 128, np.uint8)
    analysis = replace_faces(made_analysis([HAPPY]))
    to_photo = np.array([[[100.0, 0, 20], [0, 100.0, 70]]])
    evidence = np.zeros((1, 7, 4, 4), np.float32)
    evidence[0, EXPRESSIONS.index("sad"), 0, 3] = 8.0  # the crop's top right corner
    analysis = replace(
        analysis,
        crops=replace(analysis.crops, to_photo=to_photo),
        predictions=replace(analysis.predictions, evidence=evidence),
    )
    look = Look(overlay=True, expression="sad", opacity=1.0, mirror=False)
    changed = draw_frame(rgb, analysis, look, 8.0) != draw_frame(
        rgb, analysis, replace(look, overlay=False), 8.0
    )
    rows, columns = np.nonzero(changed.any(axis=2))
    assert rows.min() >= 70
    assert rows.max() < 70 + 45
    assert columns.min() >= 20 + 55
    assert columns.max() <= 120


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


def test_a_stream_ends_by_itself(ask: Ask) -> None:
    places = Places(1)
    session = LiveSession(ask, Worker(), places, limit_seconds=0.5)
    play(session, lambda: session.expired)
    frames = session.status().frames
    session.receive(video_frame(frame(1, 0)))
    assert session.status().frames == frames
    session.end()


def test_a_stream_goes_on_from_the_one_before(ask: Ask) -> None:
    first = LiveSession(ask, Worker(), Places(1))
    play(first, lambda: people(first) == [1, 2], faces=2)
    assert first.save_moment() is not None
    first.end()
    lasted = first.status().seconds
    second = LiveSession(ask, Worker(), Places(1), before=first)
    assert second.status().seconds == lasted
    late = lasted + MOMENT_GAP + 0.5  # what is kept sooner would be the same moment
    play(second, lambda: len(people(second)) == 4 and second.status().seconds > late, faces=4)
    assert second.save_moment() is not None
    seen = people(second)
    second.end()
    timeline = second.recording.timeline()
    assert timeline.people[:2] == (1, 2)
    assert min(seen) > 0
    assert set(seen) - {1, 2}, "a number of before is nobody else's"
    assert (np.diff(timeline.seconds) >= 0).all()
    assert timeline.seconds.max() > lasted
    assert [moment.seconds > lasted for moment in second.moments] == [False, True]
    assert second.status().seconds >= timeline.seconds.max() - 1e-3


def test_after_the_end_nothing_is_worked_on(session: LiveSession) -> None:
    play(session, lambda: people(session) == [1])
    session.end()
    analysed = session.status().analysed
    session.receive(video_frame(frame(1, 0)))
    session.work()
    assert session.status().analysed == analysed
    assert session.status().ended
    assert session.last_picture() is not None


def test_moments_are_what_was_on_show(session: LiveSession) -> None:
    assert session.save_moment() is None
    play(session, lambda: people(session) == [1])
    moment = session.save_moment()
    assert moment is not None
    np.testing.assert_array_equal(moment.rgb, session.last_picture())
    assert session.save_moment() is moment  # a click that arrives twice
    assert session.moments == [moment]
    session.moments *= MAX_MOMENTS
    assert session.save_moment() is None


def test_a_broken_frame_stops_nothing(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        name, notice = "broken", None

        def detect(self, *_):
            raise RuntimeError("secret")

    worker = Worker()
    session = LiveSession(replace(ask, detector=Broken()), worker, Places(1))
    session.receive(video_frame(frame(1, 0)))
    session.ask = ask
    play(session, lambda: people(session) == [1])
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text
    session.end()


def recorded(*rows: tuple[float, tuple[int, ...]]) -> Recording:
    recording = Recording()
    probabilities = {1: HAPPY, 2: SAD_OR_NEUTRAL}
    for seconds, present in rows:
        analysis = made_analysis([probabilities[p] for p in present])
        recording.add(replace_faces(analysis, *present), seconds)
    return recording


def test_a_recording_keeps_five_rows_a_second_and_a_person() -> None:
    recording = recorded(*[(k / 30, (1, 2) if k > 30 else (1,)) for k in range(90)])
    timeline = recording.timeline()
    assert len(timeline.of(1)) == pytest.approx(15, abs=1)
    assert len(timeline.of(2)) == pytest.approx(10, abs=1)
    assert timeline.of(1, since=2.0).seconds.min() >= 2.0


def test_shares_csv_and_json_say_the_same() -> None:
    timeline = recorded((0.0, (1, 2)), (0.5, (1, 2)), (1.0, (1,))).timeline()
    assert timeline.shares(1)["happy"] == 1.0
    assert timeline.shares(2)["uncertain"] == 1.0
    rows = list(csv.DictReader(io.StringIO(timeline.to_csv().decode())))
    assert [(row["seconds"], row["person"]) for row in rows] == [
        ("0.0", "1"), ("0.0", "2"), ("0.5", "1"), ("0.5", "2"), ("1.0", "1"),
    ]  # fmt: skip
    assert rows[1]["uncertain"] == "true"
    record = json.loads(timeline.to_json())
    assert [person["person"] for person in record["people"]] == [1, 2]
    assert len(record["rows"]) == len(rows)
    for person in record["people"]:
        assert sum(person["time_share"].values()) == pytest.approx(1)


def test_seconds_and_shares_count_time_and_not_rows() -> None:
    # Six frames a second, and a row for each second one: a row stands for 1/3 s.
    slow = [(k / 6, (1,)) for k in range(61)]
    timeline = recorded(*slow, (30.0, (1,))).timeline()
    (person,) = json.loads(timeline.to_json())["people"]
    assert person["seconds"] == pytest.approx(10.4, abs=0.11)  # the last of each visit stands 0.2 s
    recording = Recording()
    for seconds, probs in ((0.0, HAPPY), (0.9, SAD_OR_NEUTRAL), (1.1, HAPPY), (1.3, HAPPY)):
        recording.add(replace_faces(made_analysis([probs]), 1), seconds)
    shares = recording.timeline().shares(1)
    assert shares["happy"] == pytest.approx(1.3 / 1.5)
    assert shares["uncertain"] == pytest.approx(0.2 / 1.5)


def test_the_strips_of_a_long_stream_are_one_trace_for_each_label() -> None:
    recording = Recording()
    for k in range(3000):
        pair = (SAD_OR_NEUTRAL, HAPPY) if k % 2 else (HAPPY, SAD_OR_NEUTRAL)
        recording.add(replace_faces(made_analysis(pair), 1, 2), k / 5)
    figure = strips(recording.timeline())
    happy, uncertain = figure.data
    assert (happy.name, uncertain.name) == ("happy", "uncertain")
    assert len(happy.x) == len(uncertain.x) == 3000
    assert set(happy.y) == {"Person 1", "Person 2"}
    np.testing.assert_allclose(happy.base[:3], [0, 0.4, 0.8], atol=1e-4)
    np.testing.assert_allclose(happy.x, 0.2, atol=1e-3)
    assert figure.layout.yaxis.categoryarray == ("Person 1", "Person 2")


def test_a_change_of_model_leaves_what_was_said_before_as_it_was() -> None:
    recording = Recording()
    for seconds, model, limit in ((0.0, "strict", 1.0), (0.5, "bold", 0.0)):
        analysis = replace(made_analysis([HAPPY]), model=model, uncertain_below=limit)
        recording.add(replace_faces(analysis, 1), seconds)
    timeline = recording.timeline()
    rows = json.loads(timeline.to_json())["rows"]
    assert [(row["model"], row["uncertain"]) for row in rows] == [("strict", True), ("bold", False)]
    shares = timeline.shares(1)  # 0.5 s the one, 0.2 s the other
    assert shares["uncertain"] == pytest.approx(5 / 7)
    assert shares["happy"] == pytest.approx(2 / 7)
    assert len(timeline.of(1, since=0.4)) == 1


def test_an_empty_recording_is_no_trouble() -> None:
    timeline = Recording().timeline()
    assert len(timeline) == 0
    assert timeline.people == ()
    assert timeline.to_csv().count(b"\n") == 1
    assert json.loads(timeline.to_json())["rows"] == []
