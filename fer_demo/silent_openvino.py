"""OpenVINO without its telemetry; import it from here only.

`openvino.convert_model` tells Google Analytics that it was used, unasked, unless the package that
sends this is missing. Raises ImportError where there is no OpenVINO for the platform.
"""

from __future__ import annotations

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # reads as missing

import openvino  # noqa: E402
from openvino.preprocess import ColorFormat, PrePostProcessor  # noqa: E402

__all__ = ["ColorFormat", "PrePostProcessor", "openvino"]
