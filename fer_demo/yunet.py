"""YuNet's network on one picture: OpenVINO where it is installed, else OpenCV's own reader.

Wu et al. 2023, doi:10.1007/s11633-023-1423-y. The file is the same and so are the faces; OpenVINO
takes half the time. Its output is decoded here as OpenCV's `FaceDetectorYN` does, see
`modules/objdetect/src/face_detect.cpp` of OpenCV 4.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Search = Callable[[NDArray[np.uint8], float], NDArray[np.float32]]
"""(H, W, 3) uint8 RGB and the least score to (N, 15) rows [x, y, w, h, five landmarks' x and y,
score], pixels. One face may have several rows. Safe to share between threads."""

STRIDES = (8, 16, 32)
"""Pixels between two places at which the network looks for faces, of each of its three maps."""


def load(model: Path, threads: int) -> Search:
    """The faster of the two that can be had here."""
    try:
        return openvino_search(model, threads)
    except ImportError:  # no wheel for this platform
        return opencv_search(model)


def opencv_search(model: Path) -> Search:
    """`cv2.FaceDetectorYN`, left to find every overlapping box, as the other one is."""
    net = cv2.FaceDetectorYN.create(str(model), "", (320, 320), nms_threshold=1.0)
    lock = threading.Lock()  # the network is resized for every picture

    def search(rgb: NDArray[np.uint8], threshold: float) -> NDArray[np.float32]:
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        with lock:
            net.setInputSize((rgb.shape[1], rgb.shape[0]))
            net.setScoreThreshold(threshold)
            _, rows = net.detect(bgr)
        return np.zeros((0, 15), np.float32) if rows is None else np.asarray(rows, np.float32)

    return search


def openvino_search(model: Path, threads: int) -> Search:
    """OpenVINO, compiled once for pictures of any size.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    from fer_demo.silent_openvino import ColorFormat, PrePostProcessor, compiled, openvino

    network = openvino.Core().read_model(model)
    network.reshape([1, 3, -1, -1])
    steps = PrePostProcessor(network)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().tensor().set_color_format(ColorFormat.RGB)
    steps.input().preprocess().convert_color(ColorFormat.BGR).convert_element_type(
        openvino.Type.f32
    )
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    # bf16 is faster where the processor has it. Of nearly equal candidates for one face it may
    # prefer another; accuracy behind it is the same: `python -m training.framing`, with --weights.
    request = compiled(steps.build(), threads, "bf16").create_infer_request()
    lock = threading.Lock()  # a request holds its own buffers, and one serves all: cores are few

    def search(rgb: NDArray[np.uint8], threshold: float) -> NDArray[np.float32]:
        padded = _padded(rgb)
        columns = padded.shape[2]
        found = []
        with lock:
            request.infer([padded])
            for stride in STRIDES:
                face, object_, box, points = (
                    request.get_tensor(f"{name}_{stride}").data[0]
                    for name in ("cls", "obj", "bbox", "kps")
                )
                rows = _decode(stride, columns // stride, face, object_, box, points, threshold)
                found.append(rows)
        return np.concatenate(found)

    return search


def _padded(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(1, H, W, 3), black to the right and below up to whole places of the coarsest map."""
    height, width = (-(-side // STRIDES[-1]) * STRIDES[-1] for side in rgb.shape[:2])
    padded = np.zeros((1, height, width, 3), np.uint8)
    padded[0, : rgb.shape[0], : rgb.shape[1]] = rgb
    return padded


def _decode(
    stride: int,
    columns: int,
    face: NDArray[np.float32],
    object_: NDArray[np.float32],
    box: NDArray[np.float32],
    points: NDArray[np.float32],
    threshold: float,
) -> NDArray[np.float32]:
    """(N, 15) rows of one map.

    Args:
        stride: of the map, px.
        columns: places in a row of the map.
        face, object_: (P, 1) how face-like and how object-like each place is, about 0 to 1.
        box: (P, 4) offset of the middle, in strides, and logarithms of the sides.
        points: (P, 10) offsets of the landmarks, in strides.
        threshold: least score, the geometric mean of the two.
    """
    score = np.sqrt(face[:, 0].clip(0, 1) * object_[:, 0].clip(0, 1))
    kept = np.flatnonzero(score >= threshold)
    place = np.stack([kept % columns, kept // columns], axis=1).astype(np.float32)
    middle, size = (box[kept, :2] + place) * stride, np.exp(box[kept, 2:]) * stride
    landmarks = (points[kept] + np.tile(place, 5)) * stride
    return np.concatenate([middle - size / 2, size, landmarks, score[kept, None]], axis=1)
