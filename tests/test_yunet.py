"""Our reading of YuNet's output is OpenCV's own, on whatever runs the network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_demo import yunet
from fer_demo.bench.peer import crowd
from fer_demo.faces import DEFAULT_THRESHOLD, OVERLAP, YuNet
from fer_demo.images import read_photo
from fer_demo.types import Faces, Photo
from tests.conftest import ROOT

PICTURES = ("obama.jpg", "obama2.jpg", "two_people.jpg", "crowd")


@pytest.fixture(params=PICTURES)
def photo(request: pytest.FixtureRequest) -> Photo:
    if request.param == "crowd":
        return Photo(crowd(seed=1)[0][:701, :1255])  # sides that no stride divides
    path = request.getfixturevalue("photos") / request.param
    return read_photo(path.read_bytes(), request.param)


def by_opencv(model: Path, rgb: np.ndarray) -> np.ndarray:
    """(N, 15) rows of OpenCV's detector as it is, best first."""
    height, width = rgb.shape[:2]
    net = cv2.FaceDetectorYN.create(
        str(model), "", (width, height), DEFAULT_THRESHOLD, nms_threshold=OVERLAP
    )
    rows = net.detect(np.ascontiguousarray(rgb[..., ::-1]))[1]
    return rows[np.argsort(rows[:, 0])]


def assert_same(faces: Faces, rows: np.ndarray, within: float = 0.5) -> None:
    """To `within` px, or 4 % of a face's width: of candidates for one face that are nearly as good,
    bfloat16 may prefer another."""
    assert len(faces) == len(rows)
    assert faces.landmarks is not None
    far = np.maximum(within, 0.04 * rows[:, 2:3])
    corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
    inside = (corners >= faces.xyxy.min(axis=0) - 1) & (corners <= faces.xyxy.max(axis=0) + 1)
    assert (np.abs(faces.xyxy - corners) <= far)[inside].all()
    assert (np.abs(faces.landmarks.reshape(-1, 10) - rows[:, 4:14]) <= far).all()
    np.testing.assert_allclose(faces.score, rows[:, 14], atol=0.01, rtol=0)


@pytest.mark.parametrize("installed", [True, False], ids=["openvino", "opencv"])
def test_faces_are_those_of_opencvs_detector(
    photo: Photo, installed: bool, yunet_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not installed:
        monkeypatch.setitem(sys.modules, "openvino", None)
    side = max(photo.width, photo.height)
    faces = YuNet(yunet_file).detect(photo, sides=(side,))
    assert len(faces) >= 1
    assert_same(faces, by_opencv(yunet_file, photo.rgb))


def test_a_reduced_picture_gives_boxes_of_the_whole_one(photo: Photo, yunet_file: Path) -> None:
    whole = YuNet(yunet_file).detect(photo, sides=(10_000,))
    reduced = YuNet(yunet_file).detect(photo, sides=(640,))
    scale = 640 / max(photo.width, photo.height)
    size = (round(photo.width * scale), round(photo.height * scale))
    rows = by_opencv(yunet_file, cv2.resize(photo.rgb, size, interpolation=cv2.INTER_AREA))
    rows[:, :14] /= min(scale, 1)
    assert len(reduced) <= len(whole)
    assert_same(reduced, rows, within=0.5 / min(scale, 1))


def test_without_openvino_opencv_reads_the_file(
    yunet_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ImportError):
        yunet.openvino_search(yunet_file, threads=1)
    assert yunet.load(yunet_file, threads=1).__qualname__.startswith("opencv_search")


def test_pictures_of_many_sizes_follow_each_other(yunet_file: Path) -> None:
    face = crowd(seed=1)[0]
    search = yunet.openvino_search(yunet_file, threads=1)
    sizes = [(33, 31), (720, 1280), (64, 64), (500, 333), (720, 1280)]
    found = [search(np.ascontiguousarray(face[:h, :w]), 0.6) for h, w in sizes]
    np.testing.assert_array_equal(found[1], found[4])


SHAPES = """
import ctypes, sys
from pathlib import Path
import numpy as np
from fer_demo.yunet import openvino_search
from tests.load.bars import memory
import psutil
search = openvino_search(Path(sys.argv[1]), threads=1)
pictures = np.random.default_rng(0).integers(0, 256, (1280, 1280, 3), np.uint8)
sides = np.random.default_rng(1).integers(20, 40, (40, 2)) * 32
for k, (height, width) in enumerate(sides):
    search(np.ascontiguousarray(pictures[:height, :width]), 0.6)
    if k in (9, 39):
        ctypes.CDLL(None).malloc_trim(0)
        print(memory(psutil.Process()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory as Linux tells it")
def test_each_further_size_of_picture_does_not_cost_memory_for_good(yunet_file: Path) -> None:
    command = [sys.executable, "-c", SHAPES, str(yunet_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    tenth, fortieth = map(float, done.stdout.split())
    assert fortieth - tenth <= 50  # 25; it was 95
