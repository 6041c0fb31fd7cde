"""Runs in the peer's own environment: the expressions that `fer`'s network sees in given crops.

python fer_labels.py CROPS.npy   # (N, H, W) uint8 grey; prints N indices of the seven expressions
"""

from __future__ import annotations

import json
import sys

import cv2
import numpy as np
from fer.fer import FER

SIDE = 64
"""Of the network's input, px."""


def main() -> None:
    """As the package prepares a face that it found, without its margin: a crop is a face."""
    crops = [cv2.resize(crop, (SIDE, SIDE)) for crop in np.load(sys.argv[1])]
    pixels = (np.array(crops, np.float32) / 255 - 0.5) * 2
    detector = FER(mtcnn=False)
    parts = np.array_split(pixels, max(1, len(pixels) // 256))
    scores = np.concatenate([np.asarray(detector._classify_emotions(part)) for part in parts])
    print(json.dumps(scores.argmax(axis=1).tolist()))


if __name__ == "__main__":
    main()
