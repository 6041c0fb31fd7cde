"""What is drawn from evidence maps, and the methods that need more than one forward pass.

A map is signed: above zero a place speaks for an expression, below zero against it. Nothing here
stretches a map to fill its range (min-max): a flat map must look flat.

evidence    the classifier's own, free (Grad-CAM of its last layer: classifier.py)
layer_cam   a finer, earlier layer; one forward and one short backward pass
occlusion   what covering a place changes; asks any model, some fifty times a face
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fer_demo.classifier import EvidenceNetwork, Predictor
from fer_demo.types import COLOUR_SIDE, GREY_SIDE, Crops, Faces

Maps = NDArray[np.float32]

FINE_REDUCTION = 8
"""LayerCAM reads the last layer that shrinks its input no further than this."""

WINDOW, STEP = 12, 6
"""Side of the patch that occlusion covers and how far it moves, px of 48."""

BATCH = 64

REGIONS = ("eyes and brows", "nose", "mouth", "rest")


def signed_scale(maps: Maps) -> float:
    """The magnitude that is drawn in full colour: the 99th percentile of all that are shown.

    One scale for all maps of a picture, so that faces and expressions can be compared; not the
    maximum, so that one extreme place does not fade all others.
    """
    return max(float(np.percentile(np.abs(maps), 99)), 1e-6) if maps.size else 1.0


def contrast(evidence: Maps, one: int, other: int) -> Maps:
    """Why `one` and not `other`: the difference of their evidence.

    Args:
        evidence: (N, K, h, w).

    Returns:
        (N, h, w); its mean, plus the difference of the biases, is the difference of the logits,
        that is the log of the ratio of the two probabilities.
    """
    return evidence[:, one] - evidence[:, other]


def enlarged(maps: Maps, side: int, *, grid: bool = False) -> Maps:
    """Maps at `side` x `side`, either smooth or with the cells that were computed (`grid`).

    Smooth is bilinear: every value is an average of its neighbours, so none lies outside the
    range that was computed, which cubic filters do not promise.

    Args:
        maps: (N, h, w).

    Returns:
        (N, side, side).
    """
    method = cv2.INTER_NEAREST_EXACT if grid else cv2.INTER_LINEAR
    out = np.zeros((len(maps), side, side), np.float32)
    for i, one in enumerate(maps):
        out[i] = cv2.resize(one, (side, side), interpolation=method)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class RegionShares:
    """How a map's magnitude is spread over the regions of a face, in REGIONS' order.

    The eight shares of `towards` and `against` sum to 1, or are all 0 where the map is.
    """

    towards: NDArray[np.float64]
    """(4,) of the part above zero."""
    against: NDArray[np.float64]
    """(4,) of the part below zero."""
    area: NDArray[np.float64]
    """(4,) of the crop's area, sum 1: what a map that says nothing would show."""


def region_shares(values: Maps, faces: Faces, crops: Crops) -> tuple[RegionShares | None, ...]:
    """One a face; None where a face has no landmarks.

    Args:
        values: (N, h, w), one map a face.
        faces, crops: of the same photo.
    """
    fine = enlarged(values, GREY_SIDE)
    known = faces.has_landmarks()
    shares: list[RegionShares | None] = []
    for i in range(len(values)):
        if faces.landmarks is None or not known[i]:
            shares.append(None)
            continue
        region = region_of_pixels(crop_points(faces.landmarks[i], crops.to_photo[i]))
        total = float(np.abs(fine[i]).sum()) or 1.0

        def spread(part: Maps, region: NDArray[np.int64] = region) -> NDArray[np.float64]:
            return np.bincount(region.ravel(), part.ravel(), len(REGIONS)).astype(np.float64)

        shares.append(
            RegionShares(
                spread(fine[i].clip(min=0)) / total,
                spread((-fine[i]).clip(min=0)) / total,
                spread(np.ones_like(fine[i])) / region.size,
            )
        )
    return tuple(shares)


def crop_points(photo_points: NDArray[Any], to_photo: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P, 2) photo pixels to the crop's [0, 1] x [0, 1], by the inverse of one (2, 3) map."""
    offset = (photo_points - to_photo[:, 2]).T
    return np.asarray(np.linalg.solve(to_photo[:, :2], offset).T, np.float64)


def region_of_pixels(landmarks: NDArray[np.float64], side: int = GREY_SIDE) -> NDArray[np.int64]:
    """Which of REGIONS each pixel of a crop belongs to.

    Boxes in the face's own frame (its axes along the eyes and across them), in units of its size,
    wide enough to hold brows and lips. They say "around the mouth", not where a lip ends.

    Args:
        landmarks: (5, 2) in the crop's [0, 1] x [0, 1].

    Returns:
        (side, side) index into REGIONS.
    """
    left, right, nose, left_mouth, right_mouth = landmarks
    eyes, mouth = (left + right) / 2, (left_mouth + right_mouth) / 2
    eye_distance = float(np.linalg.norm(right - left))
    # A turned face brings its eyes together, a lowered one its eyes and mouth: take the larger.
    unit = max(eye_distance, float(np.linalg.norm(mouth - eyes)), 1e-6)
    across = (right - left) / max(eye_distance, 1e-6)
    down = np.array([-across[1], across[0]])
    at = (np.arange(side) + 0.5) / side
    pixels = np.stack(np.meshgrid(at, at), axis=-1)  # (side, side, 2), x then y

    def inside(
        middle: NDArray[np.float64], half_width: float, above: float, below: float
    ) -> NDArray[np.bool_]:
        x, y = (pixels - middle) @ across / unit, (pixels - middle) @ down / unit
        return (np.abs(x) <= half_width) & (y >= -above) & (y <= below)

    eye_half = eye_distance / 2 / unit + 0.35
    mouth_half = float(np.linalg.norm(right_mouth - left_mouth)) / 2 / unit + 0.2
    region = np.full((side, side), REGIONS.index("rest"), np.int64)
    to_tip = float((nose - eyes) @ down) / unit
    region[inside(nose, 0.35, max(to_tip, 0.2), 0.2)] = REGIONS.index("nose")
    region[inside(mouth, mouth_half, 0.25, 0.35)] = REGIONS.index("mouth")
    region[inside(eyes, eye_half, 0.5, 0.25)] = REGIONS.index("eyes and brows")
    return region


class LayerCam:
    """LayerCAM (Jiang et al. 2021) of an earlier layer of one network; safe between threads.

    Activations weighted by the positive part of the logit's gradient at each place, summed over
    channels, below zero cut off: it shows support only, on a finer grid than the evidence.

    Args:
        network: used by nothing else meanwhile; its modes, gradients and hooks are left as they
            were, after a failure too.
        layer: name of a module of the timm network; the finest sensible one where None.
    """

    def __init__(self, network: EvidenceNetwork, layer: str | None = None):
        self._network = network
        self.layer = layer or fine_layer(network.network)
        self._module = network.network.get_submodule(self.layer)
        self._lock = threading.Lock()  # a hook on a shared module would see others' passes

    def maps(self, crops: Crops, classes: NDArray[np.int64]) -> Maps:
        """(N, h, w) at least 0, logits' units, for `classes` (N,) of the network's head."""
        if len(crops) == 0:
            return np.zeros((0, 1, 1), np.float32)
        device = next(self._network.parameters()).device
        parts = []
        with self._lock:
            for start in range(0, len(crops), BATCH):
                rows = slice(start, start + BATCH)
                grey = torch.from_numpy(np.ascontiguousarray(crops.grey[rows])).to(device)
                wanted = torch.from_numpy(np.asarray(classes[rows], np.int64)).to(device)
                activation, gradient = self._activation_and_gradient(grey, wanted)
                cam = (gradient.clamp(min=0) * activation).sum(dim=1).clamp(min=0)
                parts.append(cam.float().cpu().numpy())
        return np.concatenate(parts)

    def _activation_and_gradient(self, grey: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, h, w) twice: the layer's output, and the chosen logits' gradient there."""
        seen: list[Tensor] = []

        def detach(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            # A leaf: the graph starts here, so no parameter takes part in the backward pass.
            seen.append(output.detach().requires_grad_())
            return seen[0]

        with evaluating(self._network), torch.enable_grad():
            hook = self._module.register_forward_hook(detach)
            try:
                logits, _ = self._network(grey)
            finally:
                hook.remove()
            chosen = logits.gather(1, classes[:, None]).sum()
            (gradient,) = torch.autograd.grad(chosen, seen[0])
        return seen[0].detach(), gradient


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; every module's own mode back afterwards, after a failure too."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def fine_layer(network: nn.Module) -> str:
    """Name of the last timm stage whose grid is at most FINE_REDUCTION times coarser than input."""
    stages: Any = network.feature_info  # timm's list of dicts
    fine = [stage for stage in stages if stage["reduction"] <= FINE_REDUCTION]
    return str(max(fine, key=lambda stage: stage["reduction"])["module"])


def occlusion(predictor: Predictor, crops: Crops, classes: NDArray[np.int64]) -> Maps:
    """How much a class's logit falls when a patch is covered with the crop's mean grey.

    Zeiler & Fergus 2014. Asks nothing of the model but `predict`, so it serves as a check on the
    others: (48 - WINDOW) / STEP + 1 squared, 49, passes a face.

    Args:
        classes: (N,) index into the prediction's labels.

    Returns:
        (N, 48, 48): for each pixel the mean fall over the patches that cover it; below zero where
        the logit rises once it is covered.
    """
    n = len(crops)
    if n == 0:
        return np.zeros((0, GREY_SIDE, GREY_SIDE), np.float32)
    rows = np.arange(n)
    whole = predictor.predict(crops).logits[rows, classes]
    starts = range(0, GREY_SIDE - WINDOW + 1, STEP)
    places = [(y, x) for y in starts for x in starts]
    covered = np.repeat(crops.grey[:, None], len(places), axis=1)  # (N, P, 48, 48)
    mean = np.rint(crops.grey.mean(axis=(1, 2))).astype(np.uint8)
    for place, (y, x) in enumerate(places):
        covered[:, place, y : y + WINDOW, x : x + WINDOW] = mean[:, None, None]
    logits = _logits(predictor, covered.reshape(-1, GREY_SIDE, GREY_SIDE))
    chosen = logits[np.arange(len(logits)), np.repeat(classes, len(places))]
    fall = whole[:, None] - chosen.reshape(n, len(places))
    total = np.zeros((n, GREY_SIDE, GREY_SIDE), np.float32)
    count = np.zeros((GREY_SIDE, GREY_SIDE), np.float32)
    for place, (y, x) in enumerate(places):
        total[:, y : y + WINDOW, x : x + WINDOW] += fall[:, place, None, None]
        count[y : y + WINDOW, x : x + WINDOW] += 1
    return total / count


def _logits(predictor: Predictor, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, K) of many grey crops, in batches."""
    batches = (grey[i : i + BATCH] for i in range(0, len(grey), BATCH))
    return np.concatenate([predictor.predict(grey_crops(batch)).logits for batch in batches])


def grey_crops(grey: NDArray[np.uint8]) -> Crops:
    """Crops that only a network looks at: the colour is black and takes no memory."""
    n = len(grey)
    colour = np.broadcast_to(np.uint8(0), (n, COLOUR_SIDE, COLOUR_SIDE, 3))
    return Crops(grey, colour, np.broadcast_to(np.eye(2, 3), (n, 2, 3)))
