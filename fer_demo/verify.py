"""The checks that a weights folder passes before it is used.

A folder may come from anyone's repository, so its configuration is held to what `training` writes:
timm would follow other keys to other files, and a pickle among them could run code.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fer_demo.answers import Answers
from fer_demo.lean_timm import timm
from fer_demo.types import (
    EXPRESSIONS,
    FERPLUS_EXPRESSIONS,
    NUM_LOGITS,
    PROTOCOLS,
    SHOWN_PROTOCOL,
    ModelCard,
)

FILES = ("manifest.json", "config.json", "model.safetensors")
"""What a weights folder must hold, the largest last."""

MAX_JSON_BYTES = 1_000_000
"""Of config.json and of manifest.json, which are read whole; ours have 12 kB."""

LABELS = (
    *(f"fer2013/{name}" for name in EXPRESSIONS),
    *(f"ferplus/{name}" for name in FERPLUS_EXPRESSIONS),
)
"""Of the 15 logits, in order."""

INPUT_SIDES = range(32, 513)
"""px."""

PRETRAINED_KEYS = {
    "classifier", "crop_mode", "crop_pct", "first_conv", "fixed_input_size", "input_size",
    "interpolation", "label_names", "license", "mean", "num_classes", "pool_size", "std",
}  # fmt: skip

TOLERANCE = 1e-3
"""Largest difference of a logit from its evidence's mean plus the bias, of the logits' size."""


class Refused(ValueError):
    """A folder that failed a check. The message is a clause without a full stop."""


def verify(folder: Path, name: str, source: str) -> ModelCard:
    """Check a weights folder: sha256, labels, architecture, tensors, and how the network ends.

    Args:
        name, source: for the card.

    Raises:
        Refused: naming the first check that failed.
    """
    manifest = check_files(folder)
    config = _read_json(folder / "config.json")
    try:
        card = _card(config, manifest["model.safetensors"], name, source)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"config.json lacks what the app needs ({error!r})") from None
    network = _empty_network(card)
    state = _read_tensors(folder / "model.safetensors", network, card.architecture)
    _check_end(network, state, card)
    return card


def check_files(folder: Path) -> dict[str, Any]:
    """Hold a weights folder's files against its manifest; returns what that says of each.

    Raises:
        Refused: one is missing or is not the file that the manifest names.
    """
    manifest = _read_json(folder / "manifest.json").get("files")
    if not isinstance(manifest, dict):
        raise Refused("manifest.json names no files")
    for file in ("config.json", "model.safetensors"):
        _check_file(folder / file, manifest.get(file))
    return manifest


def _read_json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_JSON_BYTES + 1)
    except OSError:
        raise Refused(f"{path.name} is missing") from None
    if len(text) > MAX_JSON_BYTES:
        raise Refused(f"{path.name} is too large")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(f"{path.name} is not JSON") from None
    if not isinstance(value, dict):
        raise Refused(f"{path.name} is not a JSON object")
    return value


def _check_file(path: Path, entry: Any) -> None:
    if not isinstance(entry, dict):
        raise Refused(f"manifest.json does not name {path.name}")
    try:
        with path.open("rb") as file:
            have = path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        raise Refused(f"{path.name} is missing") from None
    if have != (entry.get("size"), entry.get("sha256")):
        raise Refused(f"{path.name} is not the file that manifest.json names")


def _card(config: dict[str, Any], file: dict[str, Any], name: str, source: str) -> ModelCard:
    pretrained, arguments, ours = config["pretrained_cfg"], config["model_args"], config["fer_demo"]
    unknown = set(pretrained) - PRETRAINED_KEYS | set(arguments) - {"in_chans", "output_stride"}
    if unknown:
        raise Refused(f'config.json holds "{min(unknown)}", which training.export never writes')
    if {config["num_classes"], pretrained["num_classes"]} != {NUM_LOGITS}:
        raise Refused(f"it does not have {NUM_LOGITS} classes")
    if pretrained.get("fixed_input_size"):
        raise Refused("its architecture is made for pictures of one size")
    if tuple(config["label_names"]) != LABELS or tuple(pretrained["label_names"]) != LABELS:
        raise Refused("its labels are not FER2013's seven and FER+'s eight, in order")
    channels, height, width = pretrained["input_size"]
    if channels != 1 or arguments["in_chans"] != 1:
        raise Refused("it does not take grey pictures")
    if height != width or width not in INPUT_SIDES:
        raise Refused(f"its input of {width} x {height} pixels is not supported")
    if arguments["output_stride"] not in (8, 16, 32):
        raise Refused("its output stride is none of 8, 16 and 32")
    temperature = {head: float(ours["temperature"][head]) for head in PROTOCOLS}
    (mean,), (std,) = pretrained["mean"], pretrained["std"]
    positive = (*temperature.values(), float(std))
    if not all(0 < value < math.inf for value in positive) or not math.isfinite(mean):
        raise Refused("a temperature, mean or deviation in config.json makes no sense")
    if not 0 <= float(ours["uncertain_below"]) <= 1:
        raise Refused("uncertain_below in config.json is not between 0 and 1")
    calibration = dict(ours.get("calibration", {}).get(SHOWN_PROTOCOL, {}))
    Answers.read(calibration, float(ours["uncertain_below"]))  # what cannot be read is refused now
    return ModelCard(
        name=name,
        architecture=str(config["architecture"]),
        input_size=int(width),
        output_stride=int(arguments["output_stride"]),
        mean=float(mean),
        std=float(std),
        temperature=temperature,
        uncertain_below=float(ours["uncertain_below"]),
        licence=str(pretrained["license"]),
        sha256=str(file["sha256"]),
        size_bytes=int(file["size"]),
        source=source,
        calibration=calibration,
    )


def _empty_network(card: ModelCard) -> nn.Module:
    """The network without memory for its tensors, so that any size is checked at no cost."""
    if not card.architecture.isidentifier() or not timm.is_model(card.architecture):
        raise Refused(f'timm knows no architecture "{card.architecture}"')
    try:
        with torch.device("meta"), _NothingToFill():
            return timm.create_model(
                card.architecture,
                in_chans=1,
                num_classes=NUM_LOGITS,
                output_stride=card.output_stride,
            ).eval()
    except Exception:  # whatever timm's 1,000 constructors raise for arguments they cannot take
        raise Refused(
            f"{card.architecture} takes no output stride of {card.output_stride}"
        ) from None


class _NothingToFill(TorchFunctionMode):
    """First weights are not drawn: without memory there is nowhere to put them, and torch would
    load its compiler to find that out."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if (
            func in (Tensor.normal_, Tensor.uniform_)
            or getattr(func, "__module__", "") == nn.init.__name__
        ):
            return args[0] if args else named["tensor"]
        return func(*args, **named)


def _read_tensors(path: Path, network: nn.Module, architecture: str) -> dict[str, Tensor]:
    wanted = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    try:
        with safe_open(path, framework="pt") as file:
            have = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
            if have != wanted:
                raise Refused(f"its tensors are not those of {architecture}")
            state = {name: file.get_tensor(name) for name in have}
    except (SafetensorError, OSError, KeyError):
        raise Refused("model.safetensors is not a safetensors file") from None
    state = {n: t.float() if t.is_floating_point() else t for n, t in state.items()}
    for name, tensor in state.items():
        if not math.isfinite(float(tensor.sum())):  # a third of the time of looking at each number
            raise Refused(f"{name} holds numbers that are not finite")
    return state


@torch.inference_mode()
def _check_end(network: nn.Module, state: dict[str, Tensor], card: ModelCard) -> None:
    """Heat maps and probabilities rest on it: mean of the evidence plus bias is the logit."""
    sentence = f"{card.architecture} does not end in average pooling and one linear layer"
    network.load_state_dict(state, assign=True)
    linear = network.get_classifier()  # type: ignore[operator]
    if not isinstance(linear, nn.Linear):
        raise Refused(sentence)
    picture = torch.linspace(-1, 1, card.input_size).expand(1, 1, card.input_size, -1)
    try:
        features = network.forward_features(picture)  # type: ignore[operator]
        logits = network(picture)
        evidence = torch.einsum("nchw,kc->nkhw", features, linear.weight)
    except Exception:  # a constructor left tensors on the meta device, or the shapes differ
        raise Refused(sentence) from None
    expected = evidence.mean(dim=(2, 3)) + linear.bias
    if not bool(torch.isfinite(logits).all()):
        raise Refused("its answers are not finite numbers")
    if float((logits - expected).abs().max()) > TOLERANCE * (1 + float(logits.abs().max())):
        raise Refused(sentence)
