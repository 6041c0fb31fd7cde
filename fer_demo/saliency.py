"""What is drawn from evidence maps, and the methods that need more than one forward pass.

A map is signed: above zero a place speaks for an expression, below zero against it. Nothing here
stretches a map to fill its range (min-max): a flat map must look flat.

influence   what each place brings to the score, against the same face blurred; three passes
            there and back
evidence    the classifier's own, free (Grad-CAM of its last layer: classifier.py)
layer_cam   a finer, earlier layer; one pass there and a short one back
occlusion   what covering a place changes; asks any model, some fifty times a face
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from fer_demo.classifier import EvidenceNetwork, Predictor
from fer_demo.types import COLOUR_SIDE, GREY_SIDE, Crops

Maps = NDArray[np.float32]

FINE_REDUCTION = 8
"""LayerCAM reads the last layer that shrinks its input no further than this."""

WINDOW, STEP = 12, 6
"""Side of the patch that occlusion covers and how far it moves, px of 48."""

BLUR = 6.0
"""Sigma, px of 48, of what influence holds a face against: no expression is left to read."""

SOFT = 2.0
"""Sigma of influence's soft patch, px of 48: as much of the face as a square of 5 px."""

INFLUENCE_GRID = 24
"""Values a side of an influence map, one every 2 px of 48: finer than its patches are."""

PATH = 3
"""Steps from the blurred face to the sharp one: 1 is clearly less faithful, 4 no more so."""

COARSEST = 6
"""Cells a side below which a map does not say where."""

BATCH = 64


def signed_scale(maps: Maps) -> float:
    """The magnitude that is drawn in full colour: the 99th percentile of all that are shown.

    One scale for all maps of a picture, so that faces and expressions can be compared; not the
    maximum, so that one extreme place does not fade all others.
    """
    return max(float(np.percentile(np.abs(maps), 99)), 1e-6) if maps.size else 1.0


def nearest_other(probs: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """(N, K) for each expression the most probable one of all others.

    Why one and not the other is the difference of their maps: of the evidence its mean, plus the
    difference of the biases, is the log of the ratio of the two probabilities.
    """
    order = np.argsort(-probs, axis=1, kind="stable")
    first = np.repeat(order[:, :1], probs.shape[1], axis=1)
    return np.where(first == np.arange(probs.shape[1]), order[:, 1:2], first)


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


class GradientMaps:
    """The methods that need gradients, of one network; safe between threads.

    Args:
        network: used by nothing else meanwhile; its modes, gradients and hooks are left as they
            were, after a failure too.
        layer: for LayerCAM, name of a module of the timm network; the finest sensible one where
            None.
    """

    def __init__(self, network: EvidenceNetwork, layer: str | None = None):
        self._network = network
        self.layer = layer or fine_layer(network.network)
        self._module = network.network.get_submodule(self.layer)
        self._lock = threading.Lock()  # a hook on a shared module would see others' passes

    def influence(self, crops: Crops, classes: NDArray[np.int64]) -> Maps:
        """What each place brings to a class's logit, against the same face blurred.

        Integrated gradients (Sundararajan et al. 2017) with a blurred baseline (Sturmfels et al.
        2020), by PATH midpoints, summed under a soft patch at each place. Before that sum the
        pixels' values add up to the logit of the face less that of the blurred face, but for the
        error of so few steps.

        Args:
            classes: (N, M) of the network's head. PATH forward passes serve all M.

        Returns:
            (N, M, 24, 24), logits; below zero where a place takes from the score.
        """
        parts = []
        for grey, wanted in self._batches(crops, classes, BATCH // PATH):
            sharp = grey.float()
            lost = sharp - _gaussian(sharp[:, None], BLUR, "replicate")[:, 0]
            back = (torch.arange(PATH, device=sharp.device) + 0.5) / PATH
            on_path = (sharp - back[:, None, None, None] * lost).flatten(0, 1)  # (PATH * N, 48, 48)
            with self._lock, evaluating(self._network), torch.enable_grad():
                on_path.requires_grad_()
                logits, _ = self._network(on_path)
                gradients = _gradients(logits, wanted.repeat(PATH, 1), on_path)
            mean = torch.stack(gradients, 1).unflatten(0, (PATH, -1)).mean(dim=0)
            soft = _gaussian(mean * lost[:, None], SOFT, "constant")
            # A sum under a Gaussian of height 1, where the filter makes a mean.
            soft *= 2 * math.pi * SOFT**2
            parts.append(F.avg_pool2d(soft, GREY_SIDE // INFLUENCE_GRID).cpu().numpy())
        return _joined(parts, classes)

    def layer_cam(self, crops: Crops, classes: NDArray[np.int64]) -> Maps:
        """LayerCAM (Jiang et al. 2021) of an earlier layer.

        Activations weighted by the positive part of the logit's gradient at each place, summed
        over channels, below zero cut off: it shows support only, on a finer grid than the evidence.

        Args:
            classes: (N, M) of the network's head. One forward pass serves all M.

        Returns:
            (N, M, h, w), at least 0, logits' units.
        """
        parts = []
        for grey, wanted in self._batches(crops, classes, BATCH):
            activation, gradients = self._activation_and_gradients(grey, wanted)
            cams = [(g.clamp(min=0) * activation).sum(dim=1).clamp(min=0) for g in gradients]
            parts.append(torch.stack(cams, dim=1).float().cpu().numpy())
        return _joined(parts, classes)

    def _batches(
        self, crops: Crops, classes: NDArray[np.int64], size: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """(B, 48, 48) uint8 and (B, M) int64, `size` crops at a time, where the network is."""
        device = next(self._network.parameters()).device
        for start in range(0, len(crops), size):
            rows = slice(start, start + size)
            grey = torch.from_numpy(np.ascontiguousarray(crops.grey[rows])).to(device)
            yield grey, torch.from_numpy(np.asarray(classes[rows], np.int64)).to(device)

    def _activation_and_gradients(
        self, grey: Tensor, classes: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """(N, C, h, w) each: the layer's output, and the gradient there of each chosen logit."""
        seen: list[Tensor] = []

        def detach(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            # A leaf: the graph starts here, so no parameter takes part in the backward pass.
            seen.append(output.detach().requires_grad_())
            return seen[0]

        with self._lock, evaluating(self._network), torch.enable_grad():
            hook = self._module.register_forward_hook(detach)
            try:
                logits, _ = self._network(grey)
            finally:
                hook.remove()
            gradients = _gradients(logits, classes, seen[0])
        return seen[0].detach(), gradients


def _gradients(logits: Tensor, classes: Tensor, at: Tensor) -> list[Tensor]:
    """For each column of `classes` (N, M) the gradient of the chosen logits (N, K) there."""
    chosen = logits.gather(1, classes).sum(dim=0)  # crops are independent of each other
    last = len(chosen) - 1
    return [torch.autograd.grad(one, at, retain_graph=i < last)[0] for i, one in enumerate(chosen)]


def _gaussian(maps: Tensor, sigma: float, border: str) -> Tensor:
    """(N, M, H, W) filtered by a Gaussian, cut at 4 sigma."""
    reach = math.ceil(4 * sigma)
    at = torch.arange(-reach, reach + 1, dtype=maps.dtype, device=maps.device)
    bell = torch.exp(-(at**2) / (2 * sigma**2))
    bell = (bell / bell.sum())[None, None]
    flat = F.pad(maps.flatten(0, 1)[:, None], (reach,) * 4, mode=border)
    out = F.conv2d(F.conv2d(flat, bell[:, :, :, None]), bell[:, :, None])
    return out[:, 0].unflatten(0, maps.shape[:2])


def _joined(parts: list[Maps], classes: NDArray[np.int64]) -> Maps:
    return np.concatenate(parts) if parts else np.zeros((*classes.shape, 1, 1), np.float32)


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


def occlusion(predictor: Predictor, crops: Crops) -> Maps:
    """How much each class's logit falls when a patch is covered with the crop's mean grey.

    Zeiler & Fergus 2014. Asks nothing of the model but `predict`, so it serves as a check on the
    others: (48 - WINDOW) / STEP + 1 squared, 49, passes a face, which serve all its classes.

    Returns:
        (N, K, 48, 48): for each pixel the mean fall over the patches that cover it; below zero
        where the logit rises once it is covered.
    """
    n = len(crops)
    whole = predictor.predict(crops).logits
    if n == 0:
        return np.zeros((*whole.shape, GREY_SIDE, GREY_SIDE), np.float32)
    starts = range(0, GREY_SIDE - WINDOW + 1, STEP)
    places = [(y, x) for y in starts for x in starts]
    covered = np.repeat(crops.grey[:, None], len(places), axis=1)  # (N, P, 48, 48)
    mean = np.rint(crops.grey.mean(axis=(1, 2))).astype(np.uint8)
    for place, (y, x) in enumerate(places):
        covered[:, place, y : y + WINDOW, x : x + WINDOW] = mean[:, None, None]
    logits = _logits(predictor, covered.reshape(-1, GREY_SIDE, GREY_SIDE))
    fall = whole[:, None] - logits.reshape(n, len(places), -1)  # (N, P, K)
    total = np.zeros((*whole.shape, GREY_SIDE, GREY_SIDE), np.float32)
    count = np.zeros((GREY_SIDE, GREY_SIDE), np.float32)
    for place, (y, x) in enumerate(places):
        total[:, :, y : y + WINDOW, x : x + WINDOW] += fall[:, place, :, None, None]
        count[y : y + WINDOW, x : x + WINDOW] += 1
    return np.asarray(total / count, np.float32)


def _logits(predictor: Predictor, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, K) of many grey crops, in batches."""
    batches = (grey[i : i + BATCH] for i in range(0, len(grey), BATCH))
    return np.concatenate([predictor.predict(grey_crops(batch)).logits for batch in batches])


def grey_crops(grey: NDArray[np.uint8]) -> Crops:
    """Crops that only a network looks at: the colour is black and takes no memory."""
    n = len(grey)
    colour = np.broadcast_to(np.uint8(0), (n, COLOUR_SIDE, COLOUR_SIDE, 3))
    return Crops(grey, colour, np.broadcast_to(np.eye(2, 3), (n, 2, 3)))
