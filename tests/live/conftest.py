"""Streams of a made film on a tiny network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import timm
import torch

from fer_demo.bench.film import frame
from fer_demo.classifier import Classifier, EvidenceNetwork, torch_engine
from fer_demo.faces import YuNet
from fer_demo.live.places import Places
from fer_demo.live.session import Ask, LiveSession
from fer_demo.live.worker import Worker
from fer_demo.types import FERPLUS7_HEAD, Analysis, ModelCard
from tests.conftest import WAIT


@pytest.fixture(scope="module")
def ask(yunet_file: Path) -> Ask:
    """What a stream is asked with; not to be changed."""
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


def people(session: LiveSession) -> list[int]:
    """Numbers of the faces that were found last."""
    if session.seen is None or session.seen.analysis.faces.track_id is None:
        return []
    return session.seen.analysis.faces.track_id.tolist()


def numbered(analysis: Analysis, *numbers: int) -> Analysis:
    """Faces that the tracker has numbered: from 1 on, where no numbers are given."""
    ids = np.array(numbers or range(1, len(analysis) + 1), np.int64)
    return replace(analysis, faces=replace(analysis.faces, track_id=ids))
