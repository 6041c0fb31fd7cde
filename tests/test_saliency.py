"""What is drawn from evidence maps, and that the other methods are what they are called."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients, Occlusion
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pytorch_grad_cam import LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from fer_demo import saliency
from fer_demo.classifier import Classifier, EvidenceNetwork, softmax, torch_engine
from fer_demo.crops import network_input
from fer_demo.saliency import (
    GradientMaps,
    enlarged,
    nearest_other,
    occlusion,
    signed_scale,
)
from fer_demo.types import EXPRESSIONS, FERPLUS7_HEAD, Crops, ModelCard, Predictions
from tests.networks import evidence_network

SIZE = 96
CARD = ModelCard("tiny", "test_resnet", SIZE, 16, 0.5, 0.5, {}, 0.5, "none", "", 0)
CLASSES = np.array([3, 0, 6])


@pytest.fixture(scope="module")
def network() -> EvidenceNetwork:
    return evidence_network("test_resnet", SIZE)


@pytest.fixture(scope="module")
def classifier(network: EvidenceNetwork) -> Classifier:
    return Classifier(CARD, torch_engine(network, torch.device("cpu")))


@pytest.fixture(scope="module")
def crops() -> Crops:
    noise = np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)
    return saliency.grey_crops(np.stack([cv2.GaussianBlur(image, (0, 0), 2) for image in noise]))


# Scale, contrast, enlargement


def test_one_scale_serves_all_maps_of_a_picture() -> None:
    maps = np.zeros((2, 7, 6, 6), np.float32)
    maps[0, 0] = -4.0
    assert signed_scale(maps) == pytest.approx(4.0)
    assert signed_scale(np.zeros((0, 7, 6, 6), np.float32)) == 1.0
    assert signed_scale(np.zeros((1, 7, 6, 6), np.float32)) > 0


def test_the_contrast_of_two_classes_explains_the_ratio_of_their_probabilities(
    classifier: Classifier, network: EvidenceNetwork, crops: Crops
) -> None:
    found = classifier.predict(crops)
    happy, surprise = EXPRESSIONS.index("happy"), EXPRESSIONS.index("surprise")
    difference = found.evidence[:, happy] - found.evidence[:, surprise]
    bias = network.bias.numpy()
    explained = difference.mean(axis=(1, 2)) + bias[happy] - bias[surprise]
    ratio = np.log(found.probs[:, happy] / found.probs[:, surprise])
    np.testing.assert_allclose(explained, ratio, atol=1e-4)


def test_the_nearest_other_is_the_runner_up_or_the_winner() -> None:
    probs = np.array([[0.1, 0.6, 0.3], [0.5, 0.5, 0.0]])
    np.testing.assert_array_equal(nearest_other(probs), [[1, 2, 1], [1, 0, 0]])


@settings(deadline=None)  # which would measure who else uses the machine
@given(arrays(np.float32, (1, 6, 6), elements=st.floats(-50, 50, width=32)), st.booleans())
def test_enlarging_never_leaves_the_range_that_was_computed(
    maps: NDArray[np.float32], grid: bool
) -> None:
    large = enlarged(maps, 224, grid=grid)
    assert large.shape == (1, 224, 224)
    assert large.min() >= maps.min() - 1e-4
    assert large.max() <= maps.max() + 1e-4


def test_the_grid_shows_the_cells_that_were_computed() -> None:
    maps = np.arange(49, dtype=np.float32).reshape(1, 7, 7)
    large = enlarged(maps, 224, grid=True)
    np.testing.assert_array_equal(large[0, 16::32, 16::32], maps[0])
    assert set(np.unique(large)) == set(range(49))


# LayerCAM


@pytest.mark.parametrize(
    ("architecture", "size", "layer", "grid"),
    [("test_resnet", 96, "layer2", 12), ("resnet18", 96, "layer2", 12),
     ("efficientnet_b0", 112, "blocks.2", 14)],
)  # fmt: skip
def test_layer_cam_agrees_with_the_grad_cam_package(
    architecture: str, size: int, layer: str, grid: int, crops: Crops
) -> None:
    network = evidence_network(architecture, size)
    method = GradientMaps(network)
    assert method.layer == layer
    ours = method.layer_cam(crops, CLASSES[:, None])[:, 0]
    assert ours.shape == (3, grid, grid)
    x = network_input(torch.from_numpy(crops.grey), size, 0.5, 0.5)
    module = network.network.get_submodule(layer)
    targets = [ClassifierOutputTarget(FERPLUS7_HEAD.start + k) for k in CLASSES]
    with LayerCAM(model=network.network, target_layers=[module]) as package:
        theirs = package(input_tensor=x, targets=targets)
    for our, their in zip(ours, theirs, strict=True):
        stretched = (our - our.min()) / (1e-7 + our.max() - our.min())
        large = cv2.resize(stretched, (size, size))
        large = (large - large.min()) / (1e-7 + large.max() - large.min())
        np.testing.assert_allclose(large, their, atol=1e-3)


def _state(network: EvidenceNetwork) -> tuple[object, ...]:
    return (
        [module.training for module in network.modules()],
        [parameter.requires_grad for parameter in network.parameters()],
        [parameter.grad is None for parameter in network.parameters()],
        [len(module._forward_hooks) for module in network.modules()],
        [tensor.clone() for tensor in network.state_dict().values()],
        torch.is_grad_enabled(),
    )


def _assert_same(before: tuple[object, ...], after: tuple[object, ...]) -> None:
    *plain, tensors, enabled = before
    *plain_after, tensors_after, enabled_after = after
    assert plain == plain_after
    assert enabled == enabled_after
    assert all(torch.equal(a, b) for a, b in zip(tensors, tensors_after, strict=True))


@pytest.mark.parametrize("fails", [False, True])
def test_layer_cam_leaves_the_network_as_it_was(
    fails: bool, crops: Crops, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = evidence_network("test_resnet", SIZE)
    # A mixture of modes, which model.train(...) would not bring back.
    network.network.layer3.train()
    next(network.parameters()).requires_grad_(False)
    if fails:

        def fail(*_: object) -> None:
            raise RuntimeError("out of memory")

        monkeypatch.setattr(network.network.layer4, "forward", fail)
    before = _state(network)
    method = GradientMaps(network)
    with torch.no_grad():
        _assert_same((*before[:-1], False), _state(network))
        if fails:
            with pytest.raises(RuntimeError, match="out of memory"):
                method.layer_cam(crops, CLASSES[:, None])
        else:
            method.layer_cam(crops, CLASSES[:, None])
    _assert_same(before, _state(network))


def test_layer_cam_serves_several_threads_at_once(network: EvidenceNetwork, crops: Crops) -> None:
    method = GradientMaps(network)
    alone = [method.layer_cam(crops, np.full((3, 1), k)) for k in range(4)]
    found: dict[int, NDArray[np.float32]] = {}
    threads = [
        threading.Thread(
            target=lambda k=k: found.update({k: method.layer_cam(crops, np.full((3, 1), k))})
        )
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(4):
        np.testing.assert_allclose(found[k], alone[k], rtol=1e-4, atol=1e-5)


def test_layer_cam_of_no_face_is_no_map(network: EvidenceNetwork) -> None:
    none = saliency.grey_crops(np.zeros((0, 48, 48), np.uint8))
    assert len(GradientMaps(network).layer_cam(none, np.zeros((0, 7), np.int64))) == 0


def test_layer_cam_of_all_classes_is_that_of_each(network: EvidenceNetwork, crops: Crops) -> None:
    method = GradientMaps(network)
    together = method.layer_cam(crops, np.tile(np.arange(7), (3, 1)))
    for k in (0, 6):
        alone = method.layer_cam(crops, np.full((3, 1), k))[:, 0]
        np.testing.assert_allclose(together[:, k], alone, rtol=1e-4, atol=1e-5)


# Influence


def blurred(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.stack(
        [cv2.GaussianBlur(image, (49, 49), saliency.BLUR, borderType=cv2.BORDER_REPLICATE)
         for image in grey]
    )  # fmt: skip


def pixels_by_captum(
    network: EvidenceNetwork, grey: torch.Tensor, base: torch.Tensor, steps: int
) -> NDArray[np.float32]:
    """(3, 48, 48) integrated gradients."""
    package = IntegratedGradients(lambda pixels: network(pixels)[0])
    return package.attribute(
        grey, base, torch.from_numpy(CLASSES), n_steps=steps, method="riemann_middle"
    ).detach().numpy()  # fmt: skip


def test_influence_agrees_with_captum(network: EvidenceNetwork, crops: Crops) -> None:
    ours = GradientMaps(network).influence(crops, CLASSES[:, None])
    assert ours.shape == (3, 1, 24, 24)
    grey = torch.from_numpy(crops.grey.astype(np.float32))
    base = torch.from_numpy(blurred(grey.numpy()))
    theirs = pixels_by_captum(network, grey, base, saliency.PATH)
    for our, their in zip(ours[:, 0], theirs, strict=True):
        soft = cv2.GaussianBlur(their, (17, 17), saliency.SOFT, borderType=cv2.BORDER_CONSTANT)
        cells = (soft * 2 * np.pi * saliency.SOFT**2).reshape(24, 2, 24, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(our, cells, atol=1e-3)


def test_influence_adds_up_to_what_blurring_the_face_takes(
    network: EvidenceNetwork, crops: Crops
) -> None:
    grey = torch.from_numpy(crops.grey.astype(np.float32))
    base = torch.from_numpy(blurred(grey.numpy()))
    with torch.no_grad():
        fall = (network(grey)[0] - network(base)[0]).numpy()[np.arange(3), CLASSES]
    exact = pixels_by_captum(network, grey, base, 100).sum(axis=(1, 2))
    ours = pixels_by_captum(network, grey, base, saliency.PATH).sum(axis=(1, 2))
    np.testing.assert_allclose(exact, fall, atol=0.01)
    np.testing.assert_allclose(ours, fall, atol=0.15 * np.abs(fall).max())


def test_influence_of_no_face_is_no_map(network: EvidenceNetwork) -> None:
    none = saliency.grey_crops(np.zeros((0, 48, 48), np.uint8))
    assert len(GradientMaps(network).influence(none, np.zeros((0, 7), np.int64))) == 0


# Occlusion


def test_occlusion_agrees_with_captum(classifier: Classifier, crops: Crops) -> None:
    every = occlusion(classifier, crops)
    assert every.shape == (3, 7, 48, 48)
    ours = every[np.arange(3), CLASSES]

    def forward(grey: torch.Tensor) -> torch.Tensor:
        crops = saliency.grey_crops(grey[:, 0].numpy().astype(np.uint8))
        return torch.from_numpy(classifier.predict(crops).logits)

    grey = torch.from_numpy(crops.grey[:, None].astype(np.float32))
    for i, (image, k) in enumerate(zip(grey, CLASSES, strict=True)):
        theirs = Occlusion(forward).attribute(
            image[None],
            (1, saliency.WINDOW, saliency.WINDOW),
            strides=(1, saliency.STEP, saliency.STEP),
            baselines=float(np.rint(crops.grey[i].mean())),
            target=int(k),
            perturbations_per_eval=32,
        )
        np.testing.assert_allclose(ours[i], theirs[0, 0].numpy(), atol=1e-3)


def test_occlusion_finds_the_only_place_that_matters() -> None:
    class LooksAtOneCorner:
        name, uncertain_below = "corner", 0.0

        def predict(self, crops: Crops) -> Predictions:
            logits = np.zeros((len(crops), 7), np.float32)
            logits[:, 3] = crops.grey[:, :12, :12].mean(axis=(1, 2)) / 25
            return Predictions(logits, softmax(logits), np.zeros((len(crops), 7, 1, 1), np.float32))

    grey = np.zeros((1, 48, 48), np.uint8)
    grey[0, :12, :12] = 200
    found = occlusion(LooksAtOneCorner(), saliency.grey_crops(grey))[0, 3]
    assert np.unravel_index(found.argmax(), found.shape) == (0, 0)
    assert np.abs(found[20:, 20:]).max() == 0


def test_occlusion_of_no_face_is_no_map(classifier: Classifier) -> None:
    none = saliency.grey_crops(np.zeros((0, 48, 48), np.uint8))
    assert occlusion(classifier, none).shape == (0, 7, 48, 48)
