"""Analyses made by hand, for tests of what is drawn, charted and exported."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fer_demo.types import COLOUR_SIDE, GREY_SIDE, Analysis, Crops, Faces, Photo, Predictions

HAPPY = (0.01, 0.0, 0.0, 0.97, 0.01, 0.0, 0.01)
SAD_OR_NEUTRAL = (0.05, 0.02, 0.05, 0.04, 0.41, 0.05, 0.38)


def made_analysis(
    probabilities: Sequence[Sequence[float]] = (HAPPY, SAD_OR_NEUTRAL),
    *,
    width: int = 640,
    height: int = 400,
    landmarks: bool = True,
    detector: str = "yunet",
) -> Analysis:
    """An analysis with a face for each row of probabilities, side by side on a grey photo."""
    n = len(probabilities)
    rng = np.random.default_rng(0)
    x1 = 20 + 120 * np.arange(n, dtype=np.float32)
    xyxy = np.stack([x1, np.full(n, 60), x1 + 100, np.full(n, 180)], axis=1).astype(np.float32)
    points = xyxy[:, None, :2] + rng.uniform(20, 80, (n, 5, 2)).astype(np.float32)
    probs = np.array(probabilities, np.float32).reshape(n, 7)
    return Analysis(
        photo=Photo(np.full((height, width, 3), 128, np.uint8)),
        faces=Faces(xyxy, np.full(n, 0.9, np.float32), points if landmarks else None),
        crops=Crops(
            grey=rng.integers(0, 256, (n, GREY_SIDE, GREY_SIDE), np.uint8),
            colour=np.full((n, COLOUR_SIDE, COLOUR_SIDE, 3), 128, np.uint8),
            to_photo=np.zeros((n, 2, 3)),
        ),
        predictions=Predictions(
            logits=np.log(probs + 1e-6),
            probs=probs,
            evidence=rng.normal(0, 4, (n, 7, 6, 6)).astype(np.float32),
        ),
        warnings=tuple(("Small face.",) if face % 2 else () for face in range(n)),
        detector=detector,
        model="resnet18",
        uncertain_below=0.5,
        seconds={"decode": 0.01, "detect": 0.02, "crop": 0.003, "classify": 0.006, "total": 0.039},
    )
