"""A weights folder: a timm Hub repository as it stands, written whole and read back.

config.json         architecture, labels, every pretrained_cfg field, and our card
model.safetensors   float16 weights, float32 buffers, temperature folded into the last layer
manifest.json       sha256 and size of both
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from fer_demo.crops import INPUT_MEAN, INPUT_STD
from fer_demo.errors import FerDemoError
from fer_demo.types import FER2013_HEAD, FERPLUS_HEAD, NUM_LOGITS, PROTOCOLS
from fer_demo.verify import LABELS, Refused, check_files, verify
from fer_demo.weights import WeightsFolder
from training.record import write_json, write_whole

LICENCE = "other: weights trained on FER2013, research use"

HEADS = {"fer2013": FER2013_HEAD, "ferplus": FERPLUS_HEAD}
"""Rows of the last layer that share one temperature."""


class FolderError(FerDemoError):
    """A weights folder that cannot be used; the message is a sentence naming it."""


def folder_config(
    network: nn.Module,
    architecture: str,
    input_size: int,
    output_stride: int,
    recipe: dict[str, Any],
) -> dict[str, Any]:
    """config.json of a network that was never calibrated: temperatures are 1."""
    # Names of layers only; no tag, no origin.
    borrowed = cast("dict[str, Any]", network.pretrained_cfg)
    return {
        "architecture": architecture,
        "num_classes": NUM_LOGITS,
        "num_features": network.num_features,
        "model_args": {"in_chans": 1, "output_stride": output_stride},
        "pretrained_cfg": {
            "num_classes": NUM_LOGITS,
            "input_size": [1, input_size, input_size],
            "fixed_input_size": False,
            "pool_size": [input_size // output_stride] * 2,
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": [INPUT_MEAN],
            "std": [INPUT_STD],
            "first_conv": borrowed["first_conv"],
            "classifier": borrowed["classifier"],
            "label_names": list(LABELS),
            "license": LICENCE,
        },
        "label_names": list(LABELS),
        "fer_demo": {
            "format": 1,
            "temperature": dict.fromkeys(PROTOCOLS, 1.0),
            "uncertain_below": 0.5,
            "recipe": recipe,
        },
    }


def half_weights(network: nn.Module) -> dict[str, Tensor]:
    """State of a network with float16 parameters; BatchNorm's statistics stay float32."""
    parameters = dict(network.named_parameters())
    return {
        name: (tensor.half() if name in parameters else tensor).detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }


def fold_temperature(
    state: dict[str, Tensor], classifier: str, temperature: dict[str, float]
) -> dict[str, Tensor]:
    """Divide each head's rows of the last layer, and its bias, by the head's temperature.

    Args:
        state: a network's tensors, left unchanged.
        classifier: name of the last layer.
        temperature: by head of `HEADS`.
    """
    folded = dict(state)
    for name in (f"{classifier}.weight", f"{classifier}.bias"):
        tensor = state[name].double()
        for head, rows in HEADS.items():
            tensor[rows] /= temperature[head]
        folded[name] = tensor.to(state[name].dtype)
    return folded


def write_folder(path: Path, config: dict[str, Any], state: dict[str, Tensor]) -> None:
    """Write the three files, each whole or not at all, the manifest last."""
    write_json(path / "config.json", config, indent=2)
    write_whole(path / "model.safetensors", save(state, metadata={"format": "pt"}))
    files = {}
    for name in ("model.safetensors", "config.json"):
        data = (path / name).read_bytes()
        files[name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    write_json(path / "manifest.json", {"files": files}, indent=2)


def read_config(path: Path) -> dict[str, Any]:
    """config.json of a weights folder.

    Raises:
        FolderError: it is missing, or not one of ours.
    """
    try:
        config: dict[str, Any] = json.loads((path / "config.json").read_text())
    except OSError as error:
        raise FolderError(f"{path} is not a weights folder: {error}.") from None
    except ValueError as error:
        raise FolderError(f"{path / 'config.json'} is not valid JSON: {error}.") from None
    if tuple(config.get("label_names", ())) != LABELS or "fer_demo" not in config:
        raise FolderError(f"{path / 'config.json'} does not describe a network of this project.")
    return config


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights folder as they are stored."""
    return load_file(path / "model.safetensors")


def trainable_state(path: Path, architecture: str) -> dict[str, Tensor]:
    """A folder's tensors in float32, its temperatures taken out again: where training ended.

    Raises:
        FolderError: the folder is not one of ours, or holds another architecture.
    """
    config = read_config(path)
    if config["architecture"] != architecture:
        raise FolderError(f"{path} holds {config['architecture']}, not {architecture}.")
    try:
        state = {name: tensor.float() for name, tensor in read_state(path).items()}
    except (OSError, SafetensorError) as error:
        raise FolderError(f"{path} has no readable model.safetensors: {error}.") from None
    folded = config["fer_demo"]["temperature"]
    # The two protocols of FER+ share a head, and so a temperature.
    inverse = {"fer2013": 1 / folded["fer2013"], "ferplus": 1 / folded["ferplus7"]}
    return fold_temperature(state, config["pretrained_cfg"]["classifier"], inverse)


def named_weights(path: Path) -> str:
    """Folder name and the first 12 digits of the sha256 of its weights, for records of a run."""
    return f"{path.resolve().name} {weights_sha256(path)[:12]}"


def weights_sha256(path: Path) -> str:
    """sha256 of a weights folder's model.safetensors, by which results name the weights."""
    with (path / "model.safetensors").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_manifest(path: Path) -> None:
    """Hold the files of a weights folder against its manifest, as the app does.

    Raises:
        FolderError: they do not match it, or there is none.
    """
    with _refusals_told(path):
        check_files(path)


def timm_network(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The folder's network in evaluation mode, as anyone's timm loads it, and its config.

    Teachers may be of architectures that the app does not take.

    Raises:
        FolderError: the folder is not one of ours, its files do not match its manifest, or its
            network wants grey levels scaled otherwise than all of ours.
    """
    config = read_config(path)
    scale = {key: config["pretrained_cfg"].get(key) for key in ("mean", "std")}
    if scale != {"mean": [INPUT_MEAN], "std": [INPUT_STD]}:
        raise FolderError(f"{path} wants its input scaled otherwise than here: {scale}.")
    check_manifest(path)
    network = timm.create_model(f"local-dir:{path.resolve()}", pretrained=True)
    return network.eval().to(memory_format=torch.channels_last), config


def verified_folder(path: Path) -> WeightsFolder:
    """The folder as the app takes it, after the app's own checks.

    Raises:
        FolderError: it does not pass them.
    """
    with _refusals_told(path):
        return WeightsFolder(path, verify(path, path.resolve().name, "local"))


@contextmanager
def _refusals_told(path: Path) -> Iterator[None]:
    try:
        yield
    except Refused as reason:
        raise FolderError(f"{path} is not a usable weights folder: {reason}.") from None
