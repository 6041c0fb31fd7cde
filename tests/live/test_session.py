from __future__ import annotations

import time
from dataclasses import replace

import av
import cv2
import numpy as np
import pytest

from fer_demo.bench.film import frame
from fer_demo.live.drawing import Look
from fer_demo.live.places import Places
from fer_demo.live.session import (
    MAX_LIVE_FACES,
    MAX_MOMENTS,
    MAX_SIDE,
    MOMENT_GAP,
    Ask,
    LiveSession,
)
from fer_demo.live.worker import Worker
from fer_demo.types import Crops, Faces, Photo, Predictions
from tests.conftest import WAIT, until
from tests.live.conftest import people, play, video_frame


@pytest.mark.parametrize("faces", [1, 4])
def test_frames_come_back_with_numbered_boxes(session: LiveSession, faces: int) -> None:
    # The delay is known when a drawn frame is sent: with the one after it.
    play(session, lambda: len(people(session)) == faces and session.status().delay, faces)
    sent = video_frame(frame(faces, 0))
    given = sent.to_ndarray(format="rgb24")
    out = session.receive(sent).to_ndarray(format="rgb24")
    assert people(session) == list(range(1, faces + 1))
    assert session.seen is not None
    assert out.shape == given.shape
    drawn = np.abs(out.astype(int) - given[:, ::-1]).max(axis=2) > 60
    assert drawn.mean() < 0.2, "boxes and tags, and else the picture in a mirror"
    for x1, y1, x2, y2 in session.seen.analysis.faces.xyxy.astype(int):
        mirrored = slice(max(0, out.shape[1] - x2 - 20), out.shape[1] - x1 + 20)
        assert drawn[max(0, y1 - 20) : y2 + 20, mirrored].any()
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


@pytest.mark.parametrize(("width", "height"), [(3840, 2160), (1080, 3000), (2563, 1921)])
def test_a_frame_that_is_too_large_is_reduced(
    session: LiveSession, width: int, height: int
) -> None:
    large = av.VideoFrame(width, height, "yuv420p")
    for expired in (False, True):
        session.limit_seconds = 0.0 if expired else 60.0
        out = session.receive(large)
        assert max(out.width, out.height) == MAX_SIDE
        assert out.width / out.height == pytest.approx(width / height, rel=0.01)
        assert (out.width % 2, out.height % 2) == (0, 0)
    picture = session.last_picture()
    assert picture is not None
    assert max(picture.shape) == MAX_SIDE


def test_of_a_crowd_the_largest_faces_are_read(session: LiveSession, ask: Ask) -> None:
    class Crowd:
        """Fifteen faces, the last of them the largest."""

        name, notice = "crowd", None

        def detect(self, *_: object) -> Faces:
            x = 40.0 * np.arange(15)
            side = 20.0 + np.arange(15)
            xyxy = np.stack([x, np.full(15, 100.0), x + side, 100 + side], 1)
            return Faces(xyxy.astype(np.float32), np.full(15, 0.9, np.float32))

    session.ask = replace(ask, detector=Crowd())
    for now in (0.0, 0.1, 0.2):  # whom the tracker has seen more than once is a person
        analysis = session.analyse(Photo(frame(1, 0)), now)
    assert (len(analysis), analysis.left_out) == (MAX_LIVE_FACES, 15 - MAX_LIVE_FACES)
    widths = analysis.faces.xyxy[:, 2] - analysis.faces.xyxy[:, 0]
    assert widths.min() > 20 + 15 - MAX_LIVE_FACES - 1


def test_the_delay_lasts_until_the_frame_is_sent_which_is_with_the_next(
    session: LiveSession,
) -> None:
    play(session, lambda: people(session) == [1])
    session._delays.clear()  # those of the last seconds are short
    for k in range(2):
        time.sleep(0.4)
        session.receive(video_frame(frame(1, k / 3), k))
    assert session.status().delay > 0.3


def still(session: LiveSession, k: int) -> np.ndarray:
    """What comes back of the film's first frame, RGB, once its result is known."""
    for pts in (k, k + 1):  # the second is drawn with the result of the first, or with its own
        out = session.receive(video_frame(frame(1, 0), pts)).to_ndarray(format="rgb24")
        until(lambda: session.status().unanswered == 0)
    return out.astype(int)


def test_a_change_of_look_holds_from_the_next_frame_on(session: LiveSession, ask: Ask) -> None:
    session.ask = replace(ask, smoothing=0.0)
    play(session, lambda: people(session) == [1])
    mirrored = still(session, 1)
    session.ask = replace(ask, smoothing=0.0, look=Look(mirror=False))
    plain = still(session, 3)
    difference = np.abs(mirrored[200:, ::-1] - plain[200:]).mean()  # the tag never turns
    assert difference < 2 < np.abs(mirrored - plain).mean()
    for look in (Look(blur_others=True, mirror=False), Look(overlay=True, mirror=False)):
        session.ask = replace(ask, smoothing=0.0, look=look)
        assert np.abs(still(session, 5) - plain).mean() > 0.5


def test_a_change_of_smoothing_holds_from_the_next_frame_on(session: LiveSession, ask: Ask) -> None:
    class Alternating:
        """Happy, sad, happy, ..."""

        name, uncertain_below, turn = "alternating", 0.5, 0

        def predict(self, crops: Crops) -> Predictions:
            self.turn += 1
            logits = np.zeros((len(crops), 7), np.float32)
            logits[:, 3 + self.turn % 2] = 4.0
            return replace(ask.classifier.predict(crops), logits=logits)

    def second_logits(smoothing: float) -> list[float]:
        """The second largest logit of six frames."""
        session.ask = replace(ask, classifier=Alternating(), smoothing=smoothing)
        found = []
        for k in range(6):
            session.receive(video_frame(frame(1, 0), k))
            until(lambda: session.status().unanswered == 0)
            assert session.seen is not None
            found.append(float(np.sort(session.seen.analysis.predictions.logits)[0, -2]))
        return found

    play(session, lambda: people(session) == [1])
    assert second_logits(0.0) == [0.0] * 6
    assert min(second_logits(1.0)[1:]) > 0, "what was seen before has a say"


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
    late = lasted + MOMENT_GAP + 2  # what is kept sooner would be the same moment
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


def test_a_silence_lasts_until_the_end_and_no_longer(session: LiveSession) -> None:
    play(session, lambda: people(session) == [1])
    time.sleep(0.2)
    session.end()
    silent = session.status().silent
    assert silent >= 0.2
    time.sleep(0.1)
    session.end()
    assert session.status().silent == silent


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
