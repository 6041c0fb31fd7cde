"""Fit the crop that `fer_demo.crops.framing` cuts, on FER2013's own framing.

    python -m training.framing --data DIR --detector face_detection_yunet_2023mar.onnx
    python -m training.framing ... --weights fer_demo/weights/resnet18

Every image is its own ground truth: enlarged four times and searched by YuNet, the right crop is
the whole picture. Prints the three rows of terms and how far the corners of held-out crops move
with them, with those in use, and without landmarks;
with --weights instead what the detour costs on PublicTest.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from fer_demo.crops import TERMS_IN_USE, align, framing_terms
from fer_demo.faces import YuNet
from fer_demo.types import FERPLUS7_HEAD, GREY_SIDE, Photo
from fer_demo.weights import DETECTOR_REPO, DETECTOR_REVISION, DETECTOR_SHA256
from training.command import add_data, parser_of, told
from training.data import read_split, votes_of
from training.folder import timm_network
from training.formats import DataError
from training.predict import predict_logits
from training.votes import ferplus7_label

Array = NDArray[np.float64]


def detect_in_crops(grey: NDArray[np.uint8], detector: YuNet) -> tuple[Array, Array]:
    """(M, 4) boxes [x1, y1, x2, y2] and (M, 5, 2) landmarks, unit coordinates of the crop."""
    boxes, landmarks = [], []
    for pixels in tqdm(grey, unit="image", disable=None):
        photo = enlarged(pixels)
        faces = detector.detect(photo)
        if len(faces) and faces.landmarks is not None:
            best = int(faces.score.argmax())
            boxes.append(faces.xyxy[best] / photo.width)
            landmarks.append(faces.landmarks[best] / photo.width)
    return np.array(boxes, float), np.array(landmarks, float)


def terms(boxes: Array, landmarks: Array) -> tuple[Array, Array]:
    """(M, 5) terms that change sign in a mirror and (M, 7) that do not, in the box's frame."""
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    points = (landmarks - centre[:, None]) / size[:, 1, None, None]
    return framing_terms(points, size[:, 0] / size[:, 1])


def fit(boxes: Array, landmarks: Array, rounds: int = 60) -> tuple[Array, Array, Array]:
    """Terms of x, y and side that minimise the mean corner displacement (reweighted squares)."""
    odd, even = terms(boxes, landmarks)
    height = boxes[:, 3] - boxes[:, 1]
    to_crop = (0.5 - (boxes[:, :2] + boxes[:, 2:]) / 2) / height[:, None]
    weight = np.ones(len(boxes))
    for _ in range(rounds):
        scale = np.sqrt(weight) * height  # residuals in units of the crop, not of the box
        x, y, side = (
            np.asarray(np.linalg.lstsq(a * scale[:, None], b * scale, rcond=None)[0], float)
            for a, b in ((odd, to_crop[:, 0]), (even, to_crop[:, 1]), (even, 1 / height))
        )
        weight = 1 / np.maximum(corner_displacement(boxes, landmarks, x, y, side), 0.005)
    return x, y, side


def box_alone(boxes: Array) -> tuple[Array, Array, Array]:
    """Terms that ignore the landmarks: the same offset and side for every box."""
    height = boxes[:, 3] - boxes[:, 1]
    x, y, side = np.zeros(5), np.zeros(7), np.zeros(7)
    y[-1] = np.median((0.5 - (boxes[:, 1] + boxes[:, 3]) / 2) / height)
    side[-1] = np.median(1 / height)
    return x, y, side


def corner_displacement(boxes: Array, landmarks: Array, x: Array, y: Array, side: Array) -> Array:
    """(M,) mean distance of the four corners from the true crop's, in crop sides."""
    odd, even = terms(boxes, landmarks)
    height = boxes[:, 3] - boxes[:, 1]
    off = (boxes[:, :2] + boxes[:, 2:]) / 2 - 0.5
    off += np.stack([odd @ x, even @ y], 1) * height[:, None]
    grown = (even @ side * height - 1)[:, None]
    corners = [
        np.hypot(*(off + grown * c).T) for c in ((a, b) for a in (-0.5, 0.5) for b in (-0.5, 0.5))
    ]
    return np.mean(corners, axis=0)


def cost_of_detection(data: Path, weights: Path, detector: YuNet) -> str:
    """PublicTest accuracy (ferplus7) of the original crops and of the app's own, in a sentence."""
    faces = read_split(data, "public_test")
    label = ferplus7_label(votes_of(faces))
    kept, crops = [], []
    for row in tqdm(np.flatnonzero(label >= 0), unit="image", disable=None):
        photo = enlarged(faces.grey[row])
        found = detector.detect(photo)
        if len(found):
            kept.append(row)
            crops.append(align(photo, found[np.array([found.score.argmax()])]).grey[0])
    network, config = timm_network(weights)
    size = config["pretrained_cfg"]["input_size"][-1]
    direct, detected = (
        predict_logits(network, torch.from_numpy(grey), size)[:, FERPLUS7_HEAD].argmax(1).numpy()
        == label[kept]
        for grey in (faces.grey[kept], np.stack(crops))
    )
    return (
        f"found {len(kept)} of {(label >= 0).sum()}; ferplus7 on these: original crops "
        f"{100 * direct.mean():.2f} %, through detection {100 * detected.mean():.2f} %"
    )


def enlarged(pixels: NDArray[np.uint8]) -> Photo:
    """A 48x48 crop as a photo, four times as large."""
    large = cv2.resize(pixels, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    return Photo(np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB), np.uint8))


@told
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = parser_of("framing", __doc__)
    add_data(parser)
    parser.add_argument("--detector", type=Path, required=True, help="YuNet's file")
    parser.add_argument(
        "--images", type=int, default=7000, help="to fit on; %(default)s by default"
    )
    parser.add_argument("--weights", type=Path, help="measure what the detour costs these")
    given = parser.parse_args(arguments)
    if not given.detector.is_file():
        raise DataError(f"{given.detector}: there is no such detector file.")
    if hashlib.sha256(given.detector.read_bytes()).hexdigest() != DETECTOR_SHA256:
        raise DataError(
            f"{given.detector} is not the YuNet that the app uses: {DETECTOR_REPO} holds it, at "
            f"{DETECTOR_REVISION}."
        )
    detector = YuNet(given.detector)
    if given.weights:
        print(cost_of_detection(given.data, given.weights, detector))
    else:
        fit_terms(read_split(given.data, "train").grey, given.images, detector)


def fit_terms(grey: NDArray[np.uint8], images: int, detector: YuNet) -> None:
    """Fit the framing on some of (N, 48, 48) crops, and print how far it and others are off."""
    chosen = np.random.default_rng(0).choice(len(grey), min(images, len(grey)), replace=False)
    boxes, landmarks = detect_in_crops(grey[chosen], detector)
    held_out = np.arange(len(boxes)) % 5 == 0
    found = fit(boxes[~held_out], landmarks[~held_out])
    for name, row in zip(("x", "y", "side"), found, strict=True):
        print(f"{name:<5}", np.round(row, 3).tolist())
    cut = ((boxes <= 0) | (boxes >= 1)).any(axis=1)
    print(f"{len(boxes)} found, {cut.sum()} of them cut off by the picture's border")
    for name, rows in (
        ("these terms", found),
        ("those in use", TERMS_IN_USE),
        ("box alone", box_alone(boxes[~held_out])),
    ):
        moved = GREY_SIDE * corner_displacement(boxes[held_out], landmarks[held_out], *rows)
        print(
            f"{name:<13} held out: n {held_out.sum()}, corner displacement median "
            f"{np.median(moved):.2f} px of {GREY_SIDE}, 90th percentile "
            f"{np.percentile(moved, 90):.2f}"
        )


if __name__ == "__main__":
    sys.exit(main())
