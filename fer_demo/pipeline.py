"""A photo in, an analysis out. Composition only."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fer_demo.classifier import Predictor
from fer_demo.crops import align, whole_picture
from fer_demo.faces import DEFAULT_THRESHOLD, FaceDetector, largest, not_marked, with_added
from fer_demo.quality import face_warnings
from fer_demo.settings import MAX_FACES
from fer_demo.types import Analysis, Faces, Photo


def analyse(
    photo: Photo,
    detector: FaceDetector,
    classifier: Predictor,
    *,
    threshold: float = DEFAULT_THRESHOLD,
    added: NDArray[np.float32] | None = None,
    whole: bool = False,
    max_faces: int = MAX_FACES,
    decode_seconds: float = 0.0,
) -> Analysis:
    """Find the faces of a photo and name their expressions.

    Args:
        threshold: of the detector's score.
        added: (K, 4) boxes [x1, y1, x2, y2] that a person drew, photo pixels.
        whole: treat the whole picture as one face instead of looking for faces.
        max_faces: those added and the largest are kept, the others counted in `left_out`.
        decode_seconds: what reading the photo took, for the record.
    """
    start = time.perf_counter()
    if whole:
        crops, left_out = whole_picture(photo), 0
        ends = [[0, 1], [0, 1], [1, 1]]  # of the square that is read: top left, bottom right
        corners = crops.to_photo @ ends
        faces = Faces(corners.mT.reshape(-1, 4).astype(np.float32), np.ones(1, np.float32))
        detected = time.perf_counter()
    else:
        room = max_faces - (0 if added is None else len(added))
        found = not_marked(detector.detect(photo, threshold), added)
        faces, left_out = largest(found, max(0, room))
        faces, more = largest(with_added(faces, added), max_faces)
        left_out += more
        detected = time.perf_counter()
        crops = align(photo, faces)
    cropped = time.perf_counter()
    predictions = classifier.predict(crops)
    end = time.perf_counter()
    seconds = {
        "decode": decode_seconds,
        "detect": detected - start,
        "crop": cropped - detected,
        "classify": end - cropped,
        "total": decode_seconds + end - start,
    }
    return Analysis(
        photo,
        faces,
        crops,
        predictions,
        face_warnings(faces, crops),
        "whole-picture" if whole else detector.name,
        classifier.name,
        classifier.uncertain_below,
        seconds,
        left_out,
    )


def read_by(predictor: Predictor, analysis: Analysis) -> Analysis:
    """The same faces of the same photo, read by another model."""
    start = time.perf_counter()
    predictions = predictor.predict(analysis.crops)
    took = time.perf_counter() - start
    known = analysis.seconds
    return replace(
        analysis,
        predictions=predictions,
        model=predictor.name,
        uncertain_below=predictor.uncertain_below,
        seconds={**known, "classify": took, "total": known["total"] - known["classify"] + took},
    )
