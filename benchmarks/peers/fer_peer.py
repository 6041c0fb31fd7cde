"""Runs in the peer's own environment: `fer` (Haar, its own network) on pictures, as JSON.

python fer_peer.py ROUNDS SPEED_PICTURE PICTURE...
"""

from __future__ import annotations

import json
import sys
import time

import cv2
from fer.fer import FER


def main() -> None:
    """Seconds from file bytes to JSON for the first picture; boxes found in every picture."""
    rounds, speed_picture, *pictures = sys.argv[1:]
    detector = FER(mtcnn=False)
    took = []
    for _ in range(int(rounds) + 2):
        start = time.perf_counter()
        json.dumps(_plain(detector.detect_emotions(cv2.imread(speed_picture))))
        took.append(time.perf_counter() - start)
    boxes = [_plain(detector.detect_emotions(cv2.imread(path))) for path in pictures]
    print(json.dumps({"seconds": took[2:], "boxes": boxes}))


def _plain(found: list[dict]) -> list[list[float]]:
    return [[float(v) for v in face["box"]] for face in found]


if __name__ == "__main__":
    main()
