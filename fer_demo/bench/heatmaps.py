"""One photo with four faces and every heat map of the Photo page, the networks loaded and warm."""

from __future__ import annotations

import time

import numpy as np

from fer_demo.bench.film import frame
from fer_demo.classifier import Classifier, load_network
from fer_demo.faces import FaceDetector
from fer_demo.pipeline import analyse
from fer_demo.saliency import GradientMaps, grey_crops, occlusion
from fer_demo.types import Photo
from fer_demo.weights import WeightsFolder

FACES = 4


def measure(
    weights: WeightsFolder, classifier: Classifier, detector: FaceDetector
) -> dict[str, float]:
    """Seconds for the analysis and for each method, all faces, for the expressions named.

    Returns:
        By part, and "total"; "found" is the number of faces.
    """
    gradients = GradientMaps(load_network(weights))
    photo = Photo(frame(FACES, 0.0))
    took: dict[str, float] = {}
    for _ in range(2):  # the first turn warms
        moments = [time.perf_counter()]
        analysis = analyse(photo, detector, classifier)
        moments.append(time.perf_counter())
        crops, top = grey_crops(analysis.crops.grey), analysis.predictions.top[:, None]
        gradients.influence(crops, top)
        moments.append(time.perf_counter())
        gradients.layer_cam(crops, top)
        moments.append(time.perf_counter())
        occlusion(classifier, crops)
        moments.append(time.perf_counter())
        parts = ("analysis", "influence", "layer_cam", "occlusion")
        took = dict(zip(parts, np.diff(moments).tolist(), strict=True))
        took |= {"total": moments[-1] - moments[0], "found": len(analysis)}
    return took
