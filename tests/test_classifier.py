"""The network's promises: the evidence is the logit, it is Grad-CAM, and engines agree."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from fer_demo.classifier import (
    Classifier,
    openvino_engine,
    softmax,
    torch_engine,
)
from fer_demo.crops import network_input
from fer_demo.types import FERPLUS7_HEAD, Crops, ModelCard
from tests.networks import evidence_network

NETWORKS = [
    pytest.param("test_resnet", 96, "layer4", id="tiny"),
    pytest.param("resnet18", 96, "layer4", id="resnet18"),
    pytest.param("efficientnet_b0", 112, "bn2", id="efficientnet_b0"),
]
"""Architecture, input size, and the module whose output enters the pooling."""

CPU = torch.device("cpu")

CARD = ModelCard("tiny", "test_resnet", 96, 16, 0.5, 0.5, {}, 0.5, "none", "", 0)


@pytest.fixture(scope="module")
def grey() -> NDArray[np.uint8]:
    """Three smooth pictures of noise, and one that is flat."""
    noise = np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)
    smooth = [cv2.GaussianBlur(image, (0, 0), 2) for image in noise]
    return np.stack([*smooth, np.full((48, 48), 128, np.uint8)])


@pytest.mark.parametrize(("architecture", "size", "layer"), NETWORKS)
def test_a_logit_is_the_mean_of_its_evidence_plus_the_bias(
    architecture: str, size: int, layer: str, grey: NDArray[np.uint8]
) -> None:
    network = evidence_network(architecture, size)
    with torch.inference_mode():
        logits, evidence = network(torch.from_numpy(grey))
        whole = network.network(network_input(torch.from_numpy(grey), size, 0.5, 0.5))
    assert evidence.shape == (4, 7, size // 16, size // 16)
    identity = evidence.mean(dim=(2, 3)) + network.bias
    torch.testing.assert_close(logits, identity, rtol=0, atol=0)
    # And these are the logits that anyone's timm gives for the app's seven rows.
    torch.testing.assert_close(logits, whole[:, FERPLUS7_HEAD], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("architecture", "size", "layer"), NETWORKS)
def test_evidence_is_grad_cam_up_to_its_scale(
    architecture: str, size: int, layer: str, grey: NDArray[np.uint8]
) -> None:
    network = evidence_network(architecture, size)
    evidence = torch_engine(network, CPU)(grey)[1]
    x = network_input(torch.from_numpy(grey), size, 0.5, 0.5)
    module = network.network.get_submodule(layer)
    classes = np.array([3, 0, 6, 5])  # another one for each picture
    targets = [ClassifierOutputTarget(FERPLUS7_HEAD.start + k) for k in classes]
    with GradCAM(model=network.network, target_layers=[module]) as method:
        theirs = method(input_tensor=x, targets=targets)
    ours = [_shown_by_the_package(evidence[i, k], size) for i, k in enumerate(classes)]
    np.testing.assert_allclose(np.stack(ours), theirs, atol=1e-4)


def _shown_by_the_package(evidence: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """ReLU, min-max, resize, min-max again: what the package does to a map."""

    def stretched(values: NDArray[np.float32]) -> NDArray[np.float32]:
        values = values - values.min()
        return values / (1e-7 + values.max())

    return stretched(cv2.resize(stretched(np.maximum(evidence, 0)), (size, size)))


@pytest.mark.parametrize(("architecture", "size", "layer"), NETWORKS)
def test_openvino_agrees_with_torch(
    architecture: str, size: int, layer: str, grey: NDArray[np.uint8]
) -> None:
    network = evidence_network(architecture, size)
    logits, evidence = torch_engine(network, CPU)(grey)
    run = openvino_engine(network, threads=1)
    fast_logits, fast_evidence = run(grey)
    np.testing.assert_allclose(softmax(fast_logits), softmax(logits), atol=1e-3)
    np.testing.assert_allclose(fast_evidence, evidence, atol=1e-2 * np.abs(evidence).max())
    for rows in (slice(1), slice(1, 3), slice(1, 2)):  # a single face has a model of its own
        few_logits, few_evidence = run(grey[rows])
        np.testing.assert_allclose(softmax(few_logits), softmax(logits[rows]), atol=1e-3)
        limit = 1e-2 * np.abs(evidence).max()
        np.testing.assert_allclose(few_evidence, evidence[rows], atol=limit)


def test_openvino_serves_several_threads_at_once(grey: NDArray[np.uint8]) -> None:
    run = openvino_engine(evidence_network("test_resnet", 96), threads=1)
    asked = [grey[k % 4 : k % 4 + 1 + k % 2] for k in range(40)]
    alone = [run(one)[0] for one in asked]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, asked))
    for (logits, _), expected in zip(together, alone, strict=True):
        np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_no_faces_are_no_predictions() -> None:
    network = evidence_network("test_resnet", 96)
    classifier = Classifier(CARD, torch_engine(network, CPU))
    none = Crops(
        np.zeros((0, 48, 48), np.uint8), np.zeros((0, 224, 224, 3), np.uint8), np.zeros((0, 2, 3))
    )
    found = classifier.predict(none)
    assert len(found) == 0
    assert found.top.shape == found.confidence.shape == (0,)


def test_the_network_is_read_only_by_reading(grey: NDArray[np.uint8]) -> None:
    network = evidence_network("test_resnet", 96)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    run = torch_engine(network, CPU)
    first, second = run(grey), run(grey)
    np.testing.assert_array_equal(first[0], second[0])
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
