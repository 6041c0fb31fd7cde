"""What is drawn from evidence maps, and that the other methods are what they are called."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
import torch
from captum.attr import Occlusion
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pytorch_grad_cam import LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from fer_demo import saliency
from fer_demo.classifier import Classifier, EvidenceNetwork, softmax, torch_engine
from fer_demo.crops import network_input
from fer_demo.saliency import LayerCam, contrast, enlarged, occlusion, region_shares, signed_scale
from fer_demo.types import EXPRESSIONS, FERPLUS7_HEAD, Crops, Faces, ModelCard, Predictions
from tests.networks import evidence_network

SIZE = 96
CARD = ModelCard("tiny", "test_resnet", SIZE, 16, 0.5, 0.5, (), {}, 0.5, "none", "", 0)
CLASSES = np.array([3, 0, 6])

LANDMARKS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.58], [0.36, 0.76], [0.64, 0.76]])
"""Of an upright face, in its crop."""


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
    difference = contrast(found.evidence, happy, surprise)
    bias = network.bias.numpy()
    explained = difference.mean(axis=(1, 2)) + bias[happy] - bias[surprise]
    ratio = np.log(found.probs[:, happy] / found.probs[:, surprise])
    np.testing.assert_allclose(explained, ratio, atol=1e-4)
    np.testing.assert_array_equal(difference, -contrast(found.evidence, surprise, happy))


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


# Regions


def _one_face(landmarks: NDArray[np.float64] | None) -> tuple[Faces, Crops]:
    """A face whose crop is turned by 20 degrees and 100 px wide in its photo."""
    angle, side = np.deg2rad(20), 100.0
    linear = side * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    to_photo = np.column_stack([linear, [40.0, 25.0]])
    points = None
    if landmarks is not None:
        points = (landmarks @ linear.T + to_photo[:, 2]).astype(np.float32)[None]
    faces = Faces(np.array([[10, 10, 90, 90]], np.float32), np.ones(1, np.float32), points)
    grey, colour = np.zeros((1, 48, 48), np.uint8), np.zeros((1, 224, 224, 3), np.uint8)
    return faces, Crops(grey, colour, to_photo[None])


@pytest.mark.parametrize(
    ("place", "region"),
    [((0.3, 0.4), 0), ((0.7, 0.4), 0), ((0.3, 0.28), 0), ((0.5, 0.58), 1), ((0.5, 0.76), 2),
     ((0.36, 0.76), 2), ((0.05, 0.95), 3), ((0.5, 0.04), 3)],
)  # fmt: skip
def test_evidence_at_a_place_is_counted_in_its_region(
    place: tuple[float, float], region: int
) -> None:
    maps = np.zeros((1, 48, 48), np.float32)
    maps[0, int(place[1] * 48), int(place[0] * 48)] = 2.0
    (shares,) = region_shares(maps, *_one_face(LANDMARKS))
    assert shares is not None
    np.testing.assert_allclose(shares.towards, np.eye(4)[region])
    np.testing.assert_allclose(shares.against, 0)
    (opposite,) = region_shares(-maps, *_one_face(LANDMARKS))
    assert opposite is not None
    np.testing.assert_allclose(opposite.against, np.eye(4)[region])


def test_shares_sum_to_one_and_a_flat_map_shows_the_areas() -> None:
    maps = np.random.default_rng(0).normal(size=(1, 6, 6)).astype(np.float32)
    (shares,) = region_shares(maps, *_one_face(LANDMARKS))
    assert shares is not None
    assert shares.towards.sum() + shares.against.sum() == pytest.approx(1)
    assert shares.area.sum() == pytest.approx(1)
    (flat,) = region_shares(np.ones((1, 6, 6), np.float32), *_one_face(LANDMARKS))
    assert flat is not None
    np.testing.assert_allclose(flat.towards, flat.area)
    (nothing,) = region_shares(np.zeros((1, 6, 6), np.float32), *_one_face(LANDMARKS))
    assert nothing is not None
    assert nothing.towards.sum() + nothing.against.sum() == 0


def test_a_face_without_landmarks_has_no_regions() -> None:
    maps = np.ones((1, 6, 6), np.float32)
    assert region_shares(maps, *_one_face(None)) == (None,)
    assert region_shares(maps, *_one_face(np.full((5, 2), np.nan))) == (None,)
    none = np.zeros((0, 6, 6), np.float32)
    assert (
        region_shares(none, Faces.none(), saliency.grey_crops(np.zeros((0, 48, 48), np.uint8)))
        == ()
    )


@given(arrays(np.float64, (5, 2), elements=st.floats(-1, 2)))
def test_no_landmarks_are_too_strange(landmarks: NDArray[np.float64]) -> None:
    region = saliency.region_of_pixels(landmarks)
    assert region.shape == (48, 48)
    assert region.min() >= 0
    assert region.max() < len(saliency.REGIONS)


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
    method = LayerCam(network)
    assert method.layer == layer
    ours = method.maps(crops, CLASSES)
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
    method = LayerCam(network)
    with torch.no_grad():
        _assert_same((*before[:-1], False), _state(network))
        if fails:
            with pytest.raises(RuntimeError, match="out of memory"):
                method.maps(crops, CLASSES)
        else:
            method.maps(crops, CLASSES)
    _assert_same(before, _state(network))


def test_layer_cam_serves_several_threads_at_once(network: EvidenceNetwork, crops: Crops) -> None:
    method = LayerCam(network)
    alone = [method.maps(crops, np.full(3, k)) for k in range(4)]
    found: dict[int, NDArray[np.float32]] = {}
    threads = [
        threading.Thread(target=lambda k=k: found.update({k: method.maps(crops, np.full(3, k))}))
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
    assert len(LayerCam(network).maps(none, np.zeros(0, np.int64))) == 0


# Occlusion


def test_occlusion_agrees_with_captum(classifier: Classifier, crops: Crops) -> None:
    ours = occlusion(classifier, crops, CLASSES)
    assert ours.shape == (3, 48, 48)

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
    found = occlusion(LooksAtOneCorner(), saliency.grey_crops(grey), np.array([3]))[0]
    assert np.unravel_index(found.argmax(), found.shape) == (0, 0)
    assert np.abs(found[20:, 20:]).max() == 0


def test_occlusion_of_no_face_is_no_map(classifier: Classifier) -> None:
    none = saliency.grey_crops(np.zeros((0, 48, 48), np.uint8))
    assert occlusion(classifier, none, np.zeros(0, np.int64)).shape == (0, 48, 48)
