"""A 1280x720 photo from bytes to JSON, ours beside `fer` (Haar, its own network); recall of both.

The peer lives in an environment of its own, made by `benchmarks/peers/install_fer.sh`. Without it
its figures are None.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut

from fer_demo.bench.film import HEAD, TINTS
from fer_demo.classifier import Predictor
from fer_demo.export import to_json, to_record
from fer_demo.faces import FaceDetector
from fer_demo.images import read_photo
from fer_demo.pipeline import analyse

ROOT = Path(__file__).parents[2]
ROUNDS = 15
HEAD_SIDE, FACE_SIDE = 200, 90
"""Of the cut from the photograph, px."""

SIZES = (200, 150, 112, 80, 80, 56, 56, 40, 40, 28, 28, 20, 20)
"""Widths of the crowd's faces, px; more large ones would find no room."""

FACE_IN_HEAD = np.array([55.0, 60.0, 145.0, 165.0])
"""[x1, y1, x2, y2] in the 200 px cut."""


def photo() -> NDArray[np.uint8]:
    """(720, 1280, 3) uint8: the photograph with all that is around the face, enlarged."""
    wide = cv2.resize(astronaut(), (1280, 1280), interpolation=cv2.INTER_CUBIC)
    return np.asarray(wide[:720], np.uint8)


def crowd(seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """(720, 1280, 3) uint8 with a face of each of `SIZES`, in four lights by turns, and their
    (N, 4) boxes, px."""
    rng = np.random.default_rng(seed)
    out = np.full((720, 1280, 3), 110, np.uint8)
    boxes: list[NDArray[np.float64]] = []
    for x, y, side in _layout(rng):
        head = np.clip(astronaut()[HEAD] * TINTS[len(boxes) % 4], 0, 255).astype(np.uint8)
        small = cv2.resize(head, (side, side), interpolation=cv2.INTER_AREA)
        out[y : y + side, x : x + side] = small
        boxes.append(FACE_IN_HEAD * side / HEAD_SIDE + [x, y, x, y])
    return out, np.array(boxes)


def _layout(rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """Left, top and side of a head for each of `SIZES`, none on another."""
    taken: list[tuple[int, int, int]] = []
    while len(taken) < len(SIZES):
        side = round(SIZES[len(taken)] * HEAD_SIDE / FACE_SIDE)
        for _ in range(400):
            x, y = int(rng.integers(0, 1280 - side)), int(rng.integers(0, 720 - side))
            if all(x + side < a or a + s < x or y + side < b or b + s < y for a, b, s in taken):
                taken.append((x, y, side))
                break
        else:
            taken.clear()  # the large ones stand in the way: all over again
    return taken


def recall(found: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    """Share of the wanted faces whose middle lies in a found box of half to twice their width."""
    hits = 0
    for box in wanted:
        middle, width = (box[:2] + box[2:]) / 2, box[2] - box[0]
        inside = ((found[:, :2] < middle) & (middle < found[:, 2:])).all(axis=1)
        alike = np.abs(np.log2((found[:, 2] - found[:, 0]) / width)) < 1
        hits += bool((inside & alike).any())
    return hits / len(wanted)


def compare(detector: FaceDetector, classifier: Predictor) -> Mapping[str, float | None]:
    """photo_ms, photo_vs_fer (times faster), crowd_recall, and the peer's where it is there."""
    data = _jpeg(photo())
    took = []
    for _ in range(ROUNDS + 2):
        start = time.perf_counter()
        analysis = analyse(read_photo(data, "photo.jpg"), detector, classifier)
        to_json([to_record(analysis, "photo.jpg")])
        took.append(time.perf_counter() - start)
    ours = float(np.median(took[2:]))
    scenes = [crowd(seed) for seed in range(3)]
    found = [
        detector.detect(read_photo(_jpeg(rgb), "crowd.jpg")).xyxy.astype(np.float64)
        for rgb, _ in scenes
    ]
    result: dict[str, float | None] = {
        "photo_ms": 1000 * ours,
        "crowd_recall": float(
            np.mean([recall(f, w) for f, (_, w) in zip(found, scenes, strict=True)])
        ),
        "photo_vs_fer": None,
        "fer_photo_ms": None,
        "fer_crowd_recall": None,
    }
    theirs = _ask_peer(data, [_jpeg(rgb) for rgb, _ in scenes])
    if theirs is not None:
        seconds = float(np.median(theirs["seconds"]))
        boxes = [_corners(b) for b in theirs["boxes"]]
        result["photo_vs_fer"] = seconds / ours
        result["fer_photo_ms"] = 1000 * seconds
        result["fer_crowd_recall"] = float(
            np.mean([recall(f, w) for f, (_, w) in zip(boxes, scenes, strict=True)])
        )
    return result


def _corners(xywh: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    boxes = np.array(xywh, np.float64).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def peer_python() -> Path | None:
    """The interpreter of the peer's environment, where it is installed."""
    python = Path(os.environ.get("FER_PEER", ROOT / ".peers" / "fer")) / "bin" / "python"
    return python if python.exists() else None


def _ask_peer(speed: bytes, pictures: Sequence[bytes]) -> dict[str, Any] | None:
    """What the peer says; None where it is not installed or fails."""
    python = peer_python()
    if python is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.jpg" for i in range(len(pictures) + 1)]
        for path, data in zip(paths, (speed, *pictures), strict=True):
            path.write_bytes(data)
        script = ROOT / "benchmarks" / "peers" / "fer_peer.py"
        done = subprocess.run(
            [str(python), str(script), str(ROUNDS), *map(str, paths)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
        )
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if done.returncode == 0 and lines else None
