"""One stream: its newest frame, its last result, its people and what was seen of them.

Three threads meet here. The media thread hands frames in and takes drawn ones out (`receive`), the
worker analyses the newest (`work`), and the page reads (`status`, `recording`) and changes settings
(`ask`). Each holds the lock for moments only.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from fer_demo.classifier import Predictor, softmax
from fer_demo.crops import align
from fer_demo.draw import evidence_scale
from fer_demo.faces import DEFAULT_THRESHOLD, LIVE_SIDES, FaceDetector, largest
from fer_demo.live.drawing import Look, draw_frame
from fer_demo.live.places import Places
from fer_demo.live.recording import Recording
from fer_demo.live.worker import Worker
from fer_demo.quality import face_warnings
from fer_demo.tracking import Smoother, Tracker
from fer_demo.types import Analysis, Photo

PATIENCE = 0.04
"""How long a frame waits for its own result, s. With it the boxes belong to the frame on show; past
it the last result is drawn, so that a busy machine never holds the video back."""

MAX_LIVE_FACES = 10
"""The largest faces of a frame; more would make a frame of four people wait for a crowd's."""

MAX_SIDE = 1280
"""Of a frame, px: larger ones are reduced. That the page asks for 640 x 480 binds nobody."""

PAUSE = 1.0
"""A camera that gives no frame for longer pauses, which is no delay, s."""

RATE_SECONDS = 3.0
"""Over which the rate and the delay are told."""

MAX_MOMENTS = 12
MOMENT_GAP = 1.0
"""Least time between two moments, s."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a person wants of the stream; may change between any two frames."""

    detector: FaceDetector
    classifier: Predictor
    smoothing: float = 0.4
    """0 (none) to 1."""
    look: Look = field(default_factory=Look)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One frame and what was found in it."""

    sequence: int
    """Of the frame, from 1."""
    arrived: float
    analysis: Analysis
    """With `faces.track_id`; the probabilities are smoothed."""
    scale: float
    """Logits of evidence drawn in full colour."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame that a person kept."""

    seconds: float
    """Since the start of the stream."""
    rgb: NDArray[np.uint8]
    """(H, W, 3), as it was drawn."""


@dataclass(frozen=True, slots=True)
class Status:
    """How the stream is doing."""

    frames: int
    """Frames that came in."""
    analysed: int
    unanswered: int
    """Frames since the last one with a result."""
    rate: float
    """Analysed frames a second."""
    delay: float
    """Age of the frame whose boxes are on show, s, when it is sent back: 95th percentile."""
    seconds: float
    """Since the first frame, and what the streams had before that it goes on from."""
    silent: float
    """Since the last frame, and until the end where there is one, s; infinite before the first."""
    refused: bool
    """All places were taken."""
    ended: bool


class LiveSession:
    """One stream from START to STOP."""

    def __init__(
        self,
        ask: Ask,
        worker: Worker,
        places: Places,
        limit_seconds: float = 600.0,
        before: LiveSession | None = None,
    ):
        """A stream that goes on from one `before` keeps its people, record and moments."""
        self.ask = ask
        self.recording: Recording = before.recording if before else Recording()
        self.moments: list[Moment] = before.moments if before else []
        self.stopped = False
        """By the person: nothing goes on from it."""
        self._offset = before.status().seconds if before else 0.0
        self.limit_seconds = limit_seconds
        self.born = time.monotonic()
        self._worker, self._places = worker, places
        self._place = object()  # holds a place in its stead: places keep no stream in memory
        self._change = threading.Condition()
        self._newest: tuple[int, float, NDArray[np.uint8]] | None = None
        self._seen: Seen | None = None
        self._shown: NDArray[np.uint8] | None = None
        self._first = self._last = float("-inf")
        self._silence = float("inf")  # when it ended
        self._shown_from: float | None = None
        self._frames = self._analysed = 0
        self._delays: deque[tuple[float, float]] = deque(maxlen=256)
        self._results: deque[float] = deque(maxlen=256)
        self._refused = self._ended = False
        self._tracker: Tracker = before._tracker if before else Tracker()
        self._width: int = before._width if before else 0  # of the last frame, px
        self._smoother = Smoother()
        self._scale = 0.0
        self._model = ask.classifier.name

    # --- the media thread -----------------------------------------------------------------------

    def receive(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Publish a frame for the worker and return it with the newest result drawn on it."""
        now = time.monotonic()
        frame = _bounded(frame)
        if self._ended or self.expired:
            return frame
        # Again for each frame: in a silence somebody else may have taken the place.
        self._refused = not self.hold_place()
        if self._refused:
            return frame
        rgb = _as_rgb(frame)
        with self._change:
            if self._frames == 0:
                self._first = now
            self._frames += 1
            if self._shown_from is not None:
                # The library keeps a drawn frame until the next one comes, and sends it then.
                waited = min(now - self._last, PAUSE)
                self._delays.append((now, self._last + waited - self._shown_from))
            self._last = now
            sequence = self._frames
            self._newest = (sequence, now, rgb)
        self._worker.offer(self)
        with self._change:
            self._change.wait_for(
                lambda: self._ended or (self._seen and self._seen.sequence >= sequence), PATIENCE
            )
            seen, look = self._seen, self.ask.look
        analysis, scale = (seen.analysis, seen.scale) if seen else (None, 1.0)
        if analysis is not None and analysis.photo.rgb.shape != rgb.shape:
            analysis = None  # WebRTC has changed the size of the video: boxes of another picture
        drawn = draw_frame(rgb, analysis, look, scale)
        with self._change:
            if not self._ended:  # else nothing is left to draw on it
                self._shown = drawn
            self._shown_from = seen.arrived if seen else None
        return _as_frame(drawn)

    def end(self, *_: Any) -> None:
        """The stream is over: the place is free; of its frames those that were saved are kept, and
        the last, as it was drawn."""
        with self._change:
            if not self._ended:
                self._ended, self._silence = True, time.monotonic() - self._last
            self._newest = self._seen = None
            self._change.notify_all()
        self._worker.forget(self)
        self._places.free(self._place)

    # --- the worker -----------------------------------------------------------------------------

    def work(self) -> None:
        """See `Stream.work`."""
        with self._change:
            newest, self._newest = self._newest, None
        if newest is None:
            return
        sequence, arrived, rgb = newest
        analysis = self.analyse(Photo(rgb), arrived)
        if len(analysis):
            # The scale follows slowly, so that colours do not flicker.
            scale = evidence_scale(analysis)
            self._scale = scale if self._scale == 0 else self._scale + 0.05 * (scale - self._scale)
        with self._change:
            if self._ended:
                return
            self.recording.add(analysis, self._offset + arrived - self._first)
            self._seen = Seen(sequence, arrived, analysis, self._scale or 1.0)
            self._analysed += 1
            self._results.append(time.monotonic())
            self._change.notify_all()

    def analyse(self, photo: Photo, now: float) -> Analysis:
        """Find, number and read the faces of the frame that came at `now`, s."""
        ask, start = self.ask, time.perf_counter()
        width = photo.rgb.shape[1]
        if self._width not in (0, width):
            self._tracker.rescale(width / self._width)
        self._width = width
        faces = ask.detector.detect(photo, DEFAULT_THRESHOLD, LIVE_SIDES)
        faces, left_out = largest(faces, MAX_LIVE_FACES)
        faces = self._tracker.update(faces, now)
        detected = time.perf_counter()
        crops = align(photo, faces)
        cropped = time.perf_counter()
        predictions = ask.classifier.predict(crops)
        if ask.classifier.name != self._model:
            # One network's logits are no part of another's answer, nor a measure of its evidence.
            self._model, self._smoother, self._scale = ask.classifier.name, Smoother(), 0.0
        numbers = np.zeros(0, np.int64) if faces.track_id is None else faces.track_id
        logits = self._smoother.smooth(predictions.logits, numbers, now, ask.smoothing)
        end = time.perf_counter()
        return Analysis(
            photo,
            faces,
            crops,
            replace(predictions, logits=logits, probs=softmax(logits)),
            face_warnings(faces, crops),
            ask.detector.name,
            ask.classifier.name,
            ask.classifier.uncertain_below,
            {
                "detect": detected - start,
                "crop": cropped - detected,
                "classify": end - cropped,
                "total": end - start,
            },
            left_out,
        )

    # --- the page -------------------------------------------------------------------------------

    def hold_place(self) -> bool:
        """Take a place or keep it; False where all are taken by others."""
        return self._places.hold(self._place)

    @property
    def expired(self) -> bool:
        """Whether the stream has run for as long as it may."""
        return self._frames > 0 and time.monotonic() - self._first > self.limit_seconds

    @property
    def seen(self) -> Seen | None:
        """The last result."""
        return self._seen

    def status(self) -> Status:
        """How the stream is doing now."""
        now = time.monotonic()
        with self._change:
            span = min(RATE_SECONDS, max(now - self._first, 0.5))
            recent = sum(now - at < span for at in self._results)
            delays = [d for at, d in self._delays if now - at < RATE_SECONDS]
            last = self._last if self._ended else now
            return Status(
                frames=self._frames,
                analysed=self._analysed,
                unanswered=self._frames - (self._seen.sequence if self._seen else 0),
                rate=recent / span,
                delay=float(np.percentile(delays, 95)) if delays else 0.0,
                seconds=self._offset + (max(last - self._first, 0.0) if self._frames else 0.0),
                silent=self._silence if self._ended else now - self._last,
                refused=self._refused,
                ended=self._ended,
            )

    def save_moment(self) -> Moment | None:
        """Keep the frame on show; None where there is none yet or enough have been kept."""
        with self._change:
            now = self._offset + self._last - self._first
            if self._shown is None or len(self.moments) >= MAX_MOMENTS:
                return None
            # One click may arrive twice, when its run of the page is cut short and run again.
            if self.moments and now - self.moments[-1].seconds < MOMENT_GAP:
                return self.moments[-1]
            moment = Moment(now, self._shown)
            self.moments.append(moment)
        return moment

    def last_picture(self) -> NDArray[np.uint8] | None:
        """(H, W, 3) uint8: the last frame, as it was drawn."""
        return self._shown


def _bounded(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame, reduced to MAX_SIDE if it is larger, with even sides, as encoders want them."""
    scale = MAX_SIDE / max(frame.width, frame.height)
    if scale >= 1:
        return frame
    width, height = (2 * max(1, round(side * scale / 2)) for side in (frame.width, frame.height))
    return frame.reformat(width=width, height=height)


def _as_rgb(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """(H, W, 3)."""
    if frame.format.name != "yuv420p" or frame.height % 2 or frame.width % 2:
        return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    # What decoders give. PyAV's own conversion takes twice as long, and on a busy machine ten times
    # in one frame of ten.
    return np.asarray(cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2RGB_I420), np.uint8)


def _as_frame(rgb: NDArray[np.uint8]) -> av.VideoFrame:
    height, width = rgb.shape[:2]
    if height % 2 or width % 2:
        return av.VideoFrame.from_ndarray(rgb, format="rgb24")
    # What the encoder wants; OpenCV gets there ten times faster than the encoder would.
    planes = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), np.uint8)
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")
