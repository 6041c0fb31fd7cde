"""Pictures that are stored turned, and pictures of no face and of a crowd."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_demo.classifier import Predictor
from fer_demo.export import to_zip
from fer_demo.faces import YuNet
from fer_demo.pipeline import analyse
from fer_demo.settings import MAX_FACES
from fer_demo.types import Photo
from fer_demo.weights import model_names
from tests.hostile.corpus import encode, face
from tests.hostile.heif import box, heic
from tests.hostile.limits import photo
from tests.networks import BUNDLED, bundled_predictor

STORED = {
    1: (), 2: (Image.Transpose.FLIP_LEFT_RIGHT,), 3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,), 5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_90,), 7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_270,),
}  # fmt: skip
"""How an upright picture is turned before it is stored with an orientation."""


@pytest.fixture(scope="module")
def detector(yunet_file: Path) -> YuNet:
    return YuNet(yunet_file)


def off_centre() -> Image.Image:
    """A face that no turn and no mirror leaves where it is."""
    canvas = Image.new("RGB", (480, 360), (90, 110, 130))
    canvas.paste(Image.fromarray(face(200)), (250, 20))
    return canvas


@pytest.fixture(scope="module")
def expected(detector: YuNet) -> np.ndarray:
    """(4,) the box of that face."""
    (box,) = detector.detect(Photo(np.asarray(off_centre()))).xyxy
    return box


LIKE_THE_ORIGINAL: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 100, "subsampling": 0},
    "PNG": {},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
}
"""What a lossy format changes would move the box by more than a wrong turn of a few pixels."""


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", list(LIKE_THE_ORIGINAL))
def test_a_turned_picture_has_its_faces_where_the_upright_one_has(
    detector: YuNet, expected: np.ndarray, format: str, orientation: int
) -> None:
    stored = off_centre()
    for turn in STORED[orientation]:
        stored = stored.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = photo(encode(stored, format, exif=exif, **LIKE_THE_ORIGINAL[format]))
    (found,) = detector.detect(turned).xyxy
    assert turned.full_size == (480, 360)
    assert np.abs(found - expected).max() <= 2


@pytest.mark.parametrize("quarters", range(4))
def test_a_heic_is_turned_by_its_container(
    detector: YuNet, expected: np.ndarray, quarters: int
) -> None:
    clockwise = np.rot90(np.asarray(off_centre()), -quarters)
    turned = photo(heic(clockwise, box(b"irot", bytes([quarters]))))
    (found,) = detector.detect(turned).xyxy
    assert np.abs(found - expected).max() <= 2


def crowd(count: int) -> np.ndarray:
    """So many faces in rows of 20, each 110 px wide."""
    rows = max(1, -(-count // 20))
    canvas = np.full((rows * 110, 20 * 110, 3), 100, np.uint8)
    for n in range(count):
        top, left = n // 20 * 110, n % 20 * 110
        canvas[top : top + 110, left : left + 110] = face(110)
    return canvas


@pytest.fixture(scope="module")
def classifier() -> Predictor:
    return bundled_predictor(model_names(BUNDLED)[0])


@pytest.mark.parametrize("count", [0, 1, 50, 200])
def test_a_crowd_is_capped_in_time_and_the_others_are_counted(
    detector: YuNet, classifier: Predictor, count: int
) -> None:
    data = encode(crowd(count), "JPEG", quality=90)
    start = time.process_time()
    analysis = analyse(photo(data), detector, classifier)
    to_zip([("crowd.jpg", analysis)])
    assert time.process_time() - start < 15
    found = len(analysis) + analysis.left_out
    assert abs(found - count) <= 0.1 * count
    assert len(analysis) == min(found, MAX_FACES)
