"""Crops in, calibrated expressions and the evidence for each of them out, in one forward pass.

The networks end in global average pooling and one linear layer. Applied at each place of the last
feature map instead, that layer gives one evidence map a class whose mean, plus the bias, is the
logit. Up to its scale this map is Grad-CAM (Selvaraju et al. 2017), without a backward pass.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from fer_demo.crops import network_input
from fer_demo.lean_timm import timm
from fer_demo.settings import Settings
from fer_demo.types import EXPRESSIONS, FERPLUS7_HEAD, Crops, ModelCard, Predictions
from fer_demo.weights import WeightsFolder

Engine = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""(N, 48, 48) uint8, N >= 1, to logits (N, 7) and evidence (N, 7, h, w), float32."""


class Predictor(Protocol):
    """What names the expressions of crops; safe to share between threads."""

    name: str
    uncertain_below: float

    def predict(self, crops: Crops) -> Predictions:
        """One row a crop; N = 0 is valid."""
        ...


class EvidenceNetwork(nn.Module):
    """A timm network with one head of its linear layer applied before the pooling.

    Args:
        network: ends in global average pooling and one linear layer.
        head: rows of that layer.
        size, mean, std: the network's input.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, network: Any, head: slice, size: int, mean: float, std: float):
        super().__init__()
        self.network = network
        self._features: Callable[[Tensor], Tensor] = network.forward_features
        self.size, self.mean, self.std = size, mean, std
        linear = network.get_classifier()
        self.register_buffer("weight", linear.weight.detach()[head, :, None, None].clone())
        self.register_buffer("bias", linear.bias.detach()[head].clone())

    def forward(self, grey: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 48, 48) uint8 to logits (N, K) and evidence (N, K, h, w)."""
        x = network_input(grey, self.size, self.mean, self.std)
        evidence = F.conv2d(self._features(x), self.weight)
        return evidence.mean(dim=(2, 3)) + self.bias, evidence


class Classifier:
    """One network, its engine, and what its weights folder says of it."""

    def __init__(self, card: ModelCard, engine: Engine):
        self.card = card
        self.name = card.name
        self.uncertain_below = card.uncertain_below
        self._engine = engine

    def predict(self, crops: Crops) -> Predictions:
        """See `Predictor.predict`."""
        if len(crops) == 0:
            empty = np.zeros((0, len(EXPRESSIONS)), np.float32)
            return Predictions(empty, empty, np.zeros((*empty.shape, 1, 1), np.float32))
        logits, evidence = self._engine(crops.grey)
        return Predictions(logits, softmax(logits), evidence)


def load_classifier(weights: WeightsFolder, settings: Settings) -> Classifier:
    """The network of a verified weights folder, on the fastest engine here, and warm."""
    engine = create_engine(load_network(weights), settings)
    engine(np.zeros((1, 48, 48), np.uint8))  # the first pass compiles; nobody should wait for it
    return Classifier(weights.card, engine)


def load_network(weights: WeightsFolder, head: slice = FERPLUS7_HEAD) -> EvidenceNetwork:
    """The network in evaluation mode, float32, on the CPU."""
    network = timm.create_model(f"local-dir:{weights.path}", pretrained=True)
    card = weights.card
    return EvidenceNetwork(network, head, card.input_size, card.mean, card.std).eval()


def create_engine(network: EvidenceNetwork, settings: Settings) -> Engine:
    """torch on a GPU, else OpenVINO, which runs such networks faster on a CPU."""
    if torch.cuda.is_available():
        return torch_engine(network, torch.device("cuda"))
    if torch.backends.mps.is_available():
        return torch_engine(network, torch.device("mps"))
    return cpu_engine(network, settings.threads)


def cpu_engine(network: EvidenceNetwork, threads: int) -> Engine:
    """OpenVINO where there is one for this platform, else torch."""
    try:
        return openvino_engine(network, threads)
    except ImportError:  # no wheel for this platform
        return torch_engine(network, torch.device("cpu"))


def torch_engine(network: EvidenceNetwork, device: torch.device) -> Engine:
    """Eager torch."""
    network = network.to(device)

    @torch.inference_mode()
    def run(grey: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        logits, evidence = network(torch.from_numpy(grey).to(device))
        return logits.float().cpu().numpy(), evidence.float().cpu().numpy()

    return run


def openvino_engine(network: EvidenceNetwork, threads: int) -> Engine:
    """OpenVINO, converted in memory.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    from fer_demo.silent_openvino import compiled, openvino

    example = torch.zeros(2, 48, 48, dtype=torch.uint8)
    with warnings.catch_warnings():  # OpenVINO converts traces, of which torch now warns
        warnings.simplefilter("ignore")
        # Left to itself the converter traces three times to compare; a test of ours compares.
        traced = torch.jit.trace(network, example, check_trace=False)
        model = openvino.convert_model(traced, example_input=example)

    def compile_for(batch: int) -> Any:
        mine = model.clone()
        mine.reshape([batch, 48, 48])
        return compiled(mine, threads, "f32")  # bf16 moves probabilities by more than 1e-3

    return _OpenVino(compile_for)


class _OpenVino:
    """Calls one model for a single face, as live video mostly has, and another for several.

    A model of any number infers its shapes anew at each call: a fifth of EfficientNet-B0's time for
    one face. Each is compiled once it is needed.
    """

    def __init__(self, compile_for: Callable[[int], Any]):
        self._one, self._several = _Lent(lambda: compile_for(1)), _Lent(lambda: compile_for(-1))

    def __call__(self, grey: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        with (self._one if len(grey) == 1 else self._several).request() as request:
            result = request.infer([np.ascontiguousarray(grey)])
            return result[0].copy(), result[1].copy()


class _Lent:
    """Requests of one compiled model, which hold their own buffers and serve a thread at a time.

    Not one for each thread: the app's threads live as long as one run of a page.
    """

    def __init__(self, compile_model: Callable[[], Any]):
        self._compile_model = compile_model
        self._model: Any = None
        self._idle: list[Any] = []
        self._lock = threading.Lock()

    @contextmanager
    def request(self) -> Iterator[Any]:
        """One that nobody else has; the first is waited for until the model is compiled."""
        with self._lock:
            self._model = self._model or self._compile_model()
            request = self._idle.pop() if self._idle else self._model.create_infer_request()
        try:
            yield request
        finally:
            self._idle.append(request)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, K) rows to probabilities."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)
