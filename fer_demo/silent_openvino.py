"""OpenVINO without its telemetry; import it from here only.

`openvino.convert_model` tells Google Analytics that it was used, unasked, unless the package that
sends this is missing. Raises ImportError where there is no OpenVINO for the platform.
"""

from __future__ import annotations

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # reads as missing

import openvino  # noqa: E402
from openvino.preprocess import ColorFormat, PrePostProcessor  # noqa: E402

__all__ = ["ColorFormat", "PrePostProcessor", "compiled", "openvino"]


def compiled(model: openvino.Model, threads: int, precision: str) -> openvino.CompiledModel:
    """A model on the processor, for the shortest wait of one caller.

    Args:
        precision: "f32" or "bf16"; left to itself OpenVINO takes what is fastest.
    """
    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        # By default up to 5,000 kernels are kept, made anew for each shape of picture: 3 MB a shape
        # of the detector, and nothing is faster for it.
        "CPU_RUNTIME_CACHE_CAPACITY": 0,
    }
    return openvino.Core().compile_model(model, "CPU", options)
