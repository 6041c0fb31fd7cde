"""The data that flows through the house, as frozen batches of arrays. Numpy only.

Every batch may be empty (N = 0). Shapes and ranges are checked when a batch is made, so that
what arrives in the next room is what its docstring says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The seven basic expressions, in FER2013's order."""

FERPLUS_EXPRESSIONS = (*EXPRESSIONS, "contempt")
"""FER+'s eight, in the order of logits 7-14."""

NUM_LOGITS = len(EXPRESSIONS) + len(FERPLUS_EXPRESSIONS)
FER2013_HEAD = slice(0, 7)
FERPLUS_HEAD = slice(7, 15)
FERPLUS7_HEAD = slice(7, 14)
"""The head the app shows: FER+ over the seven basic expressions, contempt dropped."""

PROTOCOLS = ("fer2013", "ferplus8", "ferplus7")
"""Ways to hold answers against labels, whose figures are never mixed: FER2013's own; the strict
majority of FER+'s votes without single ones, where it names one of eight expressions; most of its
votes, where they name one of the seven."""
SHOWN_PROTOCOL = "ferplus7"
"""That of the head the app shows."""

GREY_SIDE = 48
"""Side of the crop a network sees, px: FER2013's own."""

COLOUR_SIDE = 224
"""Side of the crop a person sees, px."""

Array = NDArray[Any]


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise ValueError(sentence)


def _is(array: Array, dtype: type, shape: tuple[int | None, ...]) -> bool:
    return (
        array.dtype == dtype
        and array.ndim == len(shape)
        and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    )


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """An upright picture."""

    rgb: NDArray[np.uint8]
    """(H, W, 3) uint8, sRGB."""
    full_size: tuple[int, int] | None = None
    """(width, height) of the upright file, px: larger than `rgb` where reading reduced it."""

    def __post_init__(self) -> None:
        _require(_is(self.rgb, np.uint8, (None, None, 3)), "Photo.rgb must be (H, W, 3) uint8.")
        _require(self.rgb.size > 0, "Photo.rgb must not be empty.")

    @property
    def scale(self) -> float:
        """Pixels of the file for one pixel of `rgb`, 1 or more.

        Of the longer side: the other one may be a few pixels, and rounding is a large part of them.
        """
        return 1.0 if self.full_size is None else max(self.full_size) / max(self.width, self.height)

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return int(self.rgb.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Faces found in one photo."""

    xyxy: NDArray[np.float32]
    """(N, 4) float32 [x1, y1, x2, y2], photo pixels."""
    score: NDArray[np.float32]
    """(N,) float32 in [0, 1]; 1 for faces that a person marked."""
    landmarks: NDArray[np.float32] | None = None
    """(N, 5, 2) float32 photo pixels: the eye on the picture's left, the eye on its right, nose,
    mouth corner on its left, mouth corner on its right; NaN rows where a face has none."""
    track_id: NDArray[np.int64] | None = None
    """(N,) int64, stable across the frames of a stream."""

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        _require(_is(self.xyxy, np.float32, (n, 4)), "Faces.xyxy must be (N, 4) float32.")
        _require(_is(self.score, np.float32, (n,)), "Faces.score must be (N,) float32.")
        if self.landmarks is not None:
            _require(
                _is(self.landmarks, np.float32, (n, 5, 2)),
                "Faces.landmarks must be (N, 5, 2) float32.",
            )
        if self.track_id is not None:
            _require(_is(self.track_id, np.int64, (n,)), "Faces.track_id must be (N,) int64.")
        _require(
            bool(np.all(self.xyxy[:, 2:] > self.xyxy[:, :2])),
            "Faces.xyxy must have x1 < x2 and y1 < y2.",
        )

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, index: NDArray[np.integer[Any]] | slice) -> Faces:
        """The faces at `index` (an integer array or a slice), in that order."""
        return Faces(
            self.xyxy[index],
            self.score[index],
            None if self.landmarks is None else self.landmarks[index],
            None if self.track_id is None else self.track_id[index],
        )

    @classmethod
    def none(cls) -> Faces:
        """No faces."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))

    def has_landmarks(self) -> NDArray[np.bool_]:
        """(N,) bool: which faces have all five landmarks."""
        if self.landmarks is None:
            return np.zeros(len(self), bool)
        return np.asarray(np.isfinite(self.landmarks).all(axis=(1, 2)), np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """Faces brought to one framing: what a network sees and what a person looks at."""

    grey: NDArray[np.uint8]
    """(N, 48, 48) uint8."""
    colour: NDArray[np.uint8]
    """(N, 224, 224, 3) uint8, sRGB, the same framing."""
    to_photo: NDArray[np.float64]
    """(N, 2, 3) affine maps from crop coordinates in [0, 1] x [0, 1] (x right, y down) to photo
    pixels."""

    def __post_init__(self) -> None:
        n = len(self.grey)
        side, colour = GREY_SIDE, COLOUR_SIDE
        _require(_is(self.grey, np.uint8, (n, side, side)), "Crops.grey must be (N, 48, 48) uint8.")
        _require(
            _is(self.colour, np.uint8, (n, colour, colour, 3)),
            "Crops.colour must be (N, 224, 224, 3) uint8.",
        )
        _require(
            _is(self.to_photo, np.float64, (n, 2, 3)), "Crops.to_photo must be (N, 2, 3) float64."
        )

    def __len__(self) -> int:
        return len(self.grey)

    def __getitem__(self, index: NDArray[np.integer[Any]] | slice) -> Crops:
        """The crops at `index` (an integer array or a slice), in that order."""
        return Crops(self.grey[index], self.colour[index], self.to_photo[index])


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a network says of each crop: one head, the seven basic expressions."""

    logits: NDArray[np.float32]
    """(N, 7) float32, calibrated: the temperature is folded into the weights."""
    probs: NDArray[np.float32]
    """(N, 7) float32, rows sum to 1."""
    evidence: NDArray[np.float32]
    """(N, 7, h, w) float32: mean over (h, w) plus a bias is the logit, exactly, for one model."""
    labels: tuple[str, ...] = EXPRESSIONS

    def __post_init__(self) -> None:
        n, k = len(self.logits), len(self.labels)
        _require(_is(self.logits, np.float32, (n, k)), "Predictions.logits must be (N, 7) float32.")
        _require(_is(self.probs, np.float32, (n, k)), "Predictions.probs must be (N, 7) float32.")
        _require(
            _is(self.evidence, np.float32, (n, k, None, None)),
            "Predictions.evidence must be (N, 7, h, w) float32.",
        )
        _require(bool(np.isfinite(self.logits).all()), "Predictions.logits must be finite.")
        _require(
            bool(np.all(np.abs(self.probs.sum(axis=1) - 1) < 1e-4)),
            "Predictions.probs must sum to 1 in each row.",
        )

    def __len__(self) -> int:
        return len(self.logits)

    @property
    def top(self) -> NDArray[np.int64]:
        """(N,) index of the most probable expression."""
        return self.probs.argmax(axis=1)

    @property
    def confidence(self) -> NDArray[np.float32]:
        """(N,) probability of the most probable expression."""
        return self.probs.max(axis=1, initial=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """One photo with everything that was found in it, one row a face, left to right."""

    photo: Photo
    faces: Faces
    crops: Crops
    predictions: Predictions
    warnings: tuple[tuple[str, ...], ...]
    """One tuple of short sentences a face; empty where nothing speaks against the picture."""
    detector: str
    """"yunet", "haar" or "whole-picture"."""
    model: str
    """Name of the weights, or "ensemble"."""
    uncertain_below: float
    """Confidence under which the honest answer is "uncertain"."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall time a stage: decode, detect, crop, classify, total."""
    left_out: int = 0
    """Faces found beyond the limit, not analysed."""

    def __post_init__(self) -> None:
        counts = {len(self.faces), len(self.crops), len(self.predictions), len(self.warnings)}
        _require(len(counts) == 1, "Analysis needs one row a face in each of its batches.")

    def __len__(self) -> int:
        return len(self.faces)

    def is_uncertain(self, face: int) -> bool:
        """Whether the answer for this face (from 0) is "uncertain"."""
        return bool(self.predictions.confidence[face] < self.uncertain_below)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a weights folder says of itself."""

    name: str
    architecture: str
    input_size: int
    """Side of the network's square input, px."""
    output_stride: int
    mean: float
    std: float
    temperature: Mapping[str, float]
    """Raw temperature a head, already folded into the weights."""
    uncertain_below: float
    licence: str
    sha256: str
    """Of model.safetensors."""
    size_bytes: int
    source: str = "bundled"
    """"bundled", or "owner/name@commit" of a Hub repository."""
    calibration: Mapping[str, Any] = field(default_factory=dict)
    """Of the head that the app shows, as `training.calibrate` wrote it; empty where it did not."""
