"""Frames a second of the live pipeline, and the network beside what the machine can do at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fer_demo.bench.film import frame
from fer_demo.classifier import (
    Classifier,
    EvidenceNetwork,
    cpu_engine,
    load_network,
)
from fer_demo.crops import align, network_input
from fer_demo.faces import DEFAULT_THRESHOLD, FaceDetector
from fer_demo.live.drawing import Look, draw_frame
from fer_demo.live.places import Places
from fer_demo.live.session import Ask, LiveSession
from fer_demo.live.worker import Worker
from fer_demo.settings import Settings
from fer_demo.types import EXPRESSIONS, FERPLUS7_HEAD, Crops, Photo
from fer_demo.weights import WeightsFolder

FILM_FRAMES = 30
WARM, MEASURED = 10, 90
ROUNDS, RUNS, SETTLING = 16, 14, 4
"""Of each engine, in turns, so that what else the machine does hits all alike."""


def live(detector: FaceDetector, classifier: Classifier, faces: int) -> Mapping[str, float]:
    """Detect, crop, classify, evidence and draw, one frame after the other, at 640x480.

    Returns:
        frames a second as "fps", the share of frames with all faces as "found", and the median
        milliseconds of each stage.
    """
    film = [frame(faces, k / 15) for k in range(FILM_FRAMES)]
    film += film[::-1]
    look = Look(overlay=True)
    session = LiveSession(Ask(detector, classifier, look=look), Worker(), Places(1))
    stages: dict[str, list[float]] = {}
    found = 0
    start = time.perf_counter()
    for k in range(WARM + MEASURED):
        if k == WARM:
            start = time.perf_counter()
            stages.clear()
            found = 0
        analysis = session.analyse(Photo(film[k % len(film)]), k / 15)
        drawing = time.perf_counter()
        draw_frame(analysis.photo.rgb, analysis, look, 8.0)
        seconds = {**analysis.seconds, "draw": time.perf_counter() - drawing}
        for stage in ("detect", "crop", "classify", "draw"):
            stages.setdefault(stage, []).append(seconds[stage])
        found += len(analysis) == faces
    elapsed = time.perf_counter() - start
    session.end()
    medians = {f"{name}_ms": 1000 * float(np.median(took)) for name, took in stages.items()}
    return {"fps": MEASURED / elapsed, "found": found / MEASURED, **medians}


class _Prediction(nn.Module):
    """The same network and head, without evidence: pooled first, as timm does."""

    def __init__(self, network: EvidenceNetwork):
        super().__init__()
        self.inner = network
        linear = network.network.get_classifier()
        self.linear = nn.Linear(linear.in_features, len(EXPRESSIONS))
        self.linear.weight.data = linear.weight.data[FERPLUS7_HEAD].clone()
        self.linear.bias.data = linear.bias.data[FERPLUS7_HEAD].clone()

    def forward(self, grey: Tensor) -> tuple[Tensor, Tensor]:
        x = network_input(grey, self.inner.size, self.inner.mean, self.inner.std)
        features = self.inner.network.forward_features(x)
        logits = self.linear(features.mean(dim=(2, 3)))
        return logits, logits


def engines(weights: WeightsFolder, classifier: Classifier, settings: Settings) -> dict[str, float]:
    """One face: our engine beside the bare ones, in milliseconds and ratios.

    The bare ones run the plain timm network from a float input made beforehand to 15 logits; ours
    starts at the grey crop and gives probabilities and evidence maps, checked.
    """
    grey = _one_face()
    crops = Crops(grey, np.zeros((1, 224, 224, 3), np.uint8), np.zeros((1, 2, 3)))
    contenders: dict[str, Callable[[], object]] = {"ours": lambda: classifier.predict(crops)}
    plain = _Prediction(load_network(weights)).eval()
    prediction = cpu_engine(plain, settings.threads)  # type: ignore[arg-type]
    evidence = cpu_engine(load_network(weights), settings.threads)
    contenders["prediction"] = lambda: prediction(grey)
    contenders["evidence"] = lambda: evidence(grey)
    network = load_network(weights)
    ready = network_input(torch.from_numpy(grey), network.size, network.mean, network.std)
    contenders |= bare(network.network, ready, settings.threads)
    took: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(ROUNDS):
        # Another engine's threads spin for a while after its last run: each follows each.
        for name in np.random.default_rng(turn).permutation(names):
            run = contenders[name]
            took[name] += [_timed(run) for _ in range(RUNS)][SETTLING:]
    # The lower quartile: what another process takes only ever adds.
    ms = {name: 1000 * float(np.percentile(times, 25)) for name, times in took.items()}
    rivals = [ms[name] for name in ("openvino", "onnxruntime") if name in ms]
    return {
        **{f"{name}_ms": value for name, value in ms.items()},
        "evidence_overhead": ms["evidence"] / ms["prediction"] - 1,
        "engine_ratio": ms["ours"] / min(rivals) if rivals else float("nan"),
    }


def _one_face() -> NDArray[np.uint8]:
    """(1, 48, 48) of the film."""
    from fer_demo.faces import Haar

    photo = Photo(frame(1, 0.0))
    return align(photo, Haar().detect(photo, DEFAULT_THRESHOLD)[:1]).grey


def bare(network: nn.Module, ready: Tensor, threads: int) -> dict[str, Callable[[], object]]:
    """The plain network on OpenVINO and ONNX Runtime, those that are installed."""
    import io
    import warnings

    runs: dict[str, Callable[[], object]] = {}
    value = ready.numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from fer_demo.silent_openvino import openvino

            options = {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": threads,
            }
            model = openvino.convert_model(network, example_input=ready)
            model.reshape(list(ready.shape))
            request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
            runs["openvino"] = lambda: request.infer([value])
        except ImportError:
            pass
        try:
            import onnx  # noqa: F401 (the exporter needs it)
            import onnxruntime

            file = io.BytesIO()
            torch.onnx.export(network, (ready,), file, dynamo=False)  # type: ignore[arg-type]
            session_options = onnxruntime.SessionOptions()
            session_options.intra_op_num_threads = threads
            session = onnxruntime.InferenceSession(
                file.getvalue(), session_options, providers=["CPUExecutionProvider"]
            )
            name = session.get_inputs()[0].name
            runs["onnxruntime"] = lambda: session.run(None, {name: value})
        except ImportError:
            pass
    return runs


def floor(weights: WeightsFolder, threads: int) -> dict[str, float]:
    """The time of one face at the rate of a matrix product, which is all arithmetic.

    Operations of the network (two a multiply-add) over the measured rate of a 2048 x 2048 float32
    matrix product. An engine may get below it with algorithms that need fewer operations, such as
    Winograd's for 3x3 convolutions.
    """
    network = load_network(weights)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(torch.zeros(1, 48, 48, dtype=torch.uint8))
    operations = counter.get_total_flops()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    square = torch.rand(2048, 2048)
    best = min(_timed(lambda: square @ square) for _ in range(8))
    torch.set_num_threads(before)
    rate = 2 * 2048**3 / best
    return {
        "network_gflop": operations / 1e9,
        "matmul_gflops": rate / 1e9,
        "floor_ms": 1000 * operations / rate,
    }


def _timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
