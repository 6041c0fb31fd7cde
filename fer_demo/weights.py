"""Where networks come from, and the checks that they pass before anything is asked of them.

A weights folder is a timm Hub repository as it stands: `config.json` and `model.safetensors`, with
a `manifest.json` of sha256 and size. safetensors only: a pickle could run code.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from safetensors.numpy import load_file
from torch import nn

from fer_demo.errors import ModelUnavailable
from fer_demo.hub import Progress, fetch
from fer_demo.settings import Settings
from fer_demo.types import EXPRESSIONS, FERPLUS_EXPRESSIONS, NUM_LOGITS, ModelCard

BUNDLED = Path(__file__).parent / "weights"

LABELS = tuple(
    [f"fer2013/{name}" for name in EXPRESSIONS] + [f"ferplus/{name}" for name in FERPLUS_EXPRESSIONS]
)
"""Of the 15 logits, in order."""

DETECTOR_REPO = "opencv/face_detection_yunet"
DETECTOR_REVISION = "3cc26e7f1014a5ee5d74a42acee58bafc9d0a310"
DETECTOR_FILE = "face_detection_yunet_2023mar.onnx"
DETECTOR_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
DETECTOR_DEADLINE = 8.0
"""Seconds: 230 kB, and a simpler detector stands by."""


@dataclass(frozen=True, slots=True)
class WeightsFolder:
    """Weights that passed every check, and what they say of themselves."""

    path: Path
    card: ModelCard


def model_names(settings: Settings) -> tuple[str, ...]:
    """The models there are, the default first.

    Raises:
        ModelUnavailable: there is none.
    """
    names = tuple(sorted((p.parent.name for p in BUNDLED.glob("*/config.json")), reverse=True))
    if not names:
        raise ModelUnavailable("No weights are bundled: train some, or name a Hub repository.")
    return names


def open_weights(
    name: str, settings: Settings, progress: Progress | None = None
) -> WeightsFolder:
    """The named weights, verified.

    Raises:
        ModelUnavailable: there are none of that name, or they fail a check.
    """
    if name not in model_names(settings):
        choice = ", ".join(model_names(settings))
        raise ModelUnavailable(f'There is no model "{name}". Choose one of: {choice}.')
    return verify(BUNDLED / name)


def detector_file(settings: Settings, progress: Progress | None = None) -> Path:
    """YuNet's file, from the cache or the Hub.

    Raises:
        ModelUnavailable: it could not be had in time, or was not the right file.
    """
    deadline = min(settings.hub_deadline, DETECTOR_DEADLINE)
    path = fetch(DETECTOR_REPO, DETECTOR_FILE, DETECTOR_REVISION, deadline, progress)
    if _sha256(path) != DETECTOR_SHA256:
        path.resolve().unlink()  # the blob behind the cache's link: the next start fetches anew
        path.unlink(missing_ok=True)
        raise ModelUnavailable("the better one was damaged on its way from the Hub.")
    return path


def verify(folder: Path, source: str = "bundled") -> WeightsFolder:
    """Check a weights folder: checksums, architecture, labels, tensors.

    Raises:
        ModelUnavailable: naming the first check that failed.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())["files"]
        for file in ("config.json", "model.safetensors"):
            have = (folder / file).stat().st_size, _sha256(folder / file)
            if have != (manifest[file]["size"], manifest[file]["sha256"]):
                raise _refused(folder, f"{file} is not the file that manifest.json describes")
        config = json.loads((folder / "config.json").read_bytes())
        card = _card(folder.name, config, manifest["model.safetensors"], source)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise _refused(folder, f"its description is incomplete ({error})") from None
    if card.labels != LABELS:
        raise _refused(folder, "its labels are not FER2013's seven and FER+'s eight, in order")
    _check_tensors(folder, card)
    return WeightsFolder(folder, card)


def _card(name: str, config: dict[str, Any], file: dict[str, Any], source: str) -> ModelCard:
    pretrained, ours = config["pretrained_cfg"], config["fer_demo"]
    return ModelCard(
        name=name,
        architecture=str(config["architecture"]),
        input_size=int(pretrained["input_size"][-1]),
        output_stride=int(config["model_args"].get("output_stride", 32)),
        mean=float(pretrained["mean"][0]),
        std=float(pretrained["std"][0]),
        labels=tuple(config["label_names"]),
        temperature={k: float(v) for k, v in ours["temperature"].items()},
        uncertain_below=float(ours["uncertain_below"]),
        licence=str(pretrained["license"]),
        sha256=str(file["sha256"]),
        size_bytes=int(file["size"]),
        source=source,
        metrics=ours.get("metrics", {}),
        recipe=ours.get("recipe", {}),
    )


def _check_tensors(folder: Path, card: ModelCard) -> None:
    if not timm.is_model(card.architecture):
        raise _refused(folder, f"timm knows no architecture {card.architecture}")
    try:
        tensors = load_file(folder / "model.safetensors")
    except Exception:  # the parser's own errors; a pickle under this name ends here
        raise _refused(folder, "model.safetensors is not a safetensors file") from None
    with torch.device("meta"):
        network = timm.create_model(
            card.architecture,
            in_chans=1,
            num_classes=NUM_LOGITS,
            output_stride=card.output_stride,
        )
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    if {name: tensor.shape for name, tensor in tensors.items()} != wanted:
        raise _refused(folder, f"its tensors are not those of {card.architecture}")
    if not isinstance(network.get_classifier(), nn.Linear):
        raise _refused(folder, f"{card.architecture} does not end in one linear layer")
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        raise _refused(folder, "it holds numbers that are not finite")


def _refused(folder: Path, reason: str) -> ModelUnavailable:
    return ModelUnavailable(f"The weights {folder.name} were not used: {reason}.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
