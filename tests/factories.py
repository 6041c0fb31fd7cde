"""Weights folders of small networks with random weights, as `training` writes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from tests.networks import random_network
from training.folder import folder_config, half_weights, write_folder

State = dict[str, Tensor]


def write_weights_folder(
    path: Path,
    architecture: str = "resnet10t",
    input_size: int = 48,
    seed: int = 0,
    *,
    config: Callable[[dict[str, Any]], object] | None = None,
    state: Callable[[State], object] | None = None,
) -> Path:
    """A folder that passes every check, unless a change is made to it before it is written.

    Args:
        path: the folder to write; its name is the model's.
        config, state: change the configuration or the tensors in place. The manifest matches what
            is written, so what refuses the folder is the check of its contents.

    Returns:
        `path`.
    """
    network = random_network(architecture, seed)
    described = folder_config(network, architecture, input_size, 16, {"seed": seed})
    tensors = half_weights(network)
    if config:
        config(described)
    if state:
        state(tensors)
    write_folder(path, described, tensors)
    return path


def rewrite_manifest(path: Path) -> None:
    """Make manifest.json name the files as they are now, as whoever forges one would."""

    files = {
        name: {
            "sha256": hashlib.sha256((path / name).read_bytes()).hexdigest(),
            "size": (path / name).stat().st_size,
        }
        for name in ("model.safetensors", "config.json")
    }
    (path / "manifest.json").write_text(json.dumps({"files": files}))
