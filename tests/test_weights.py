"""Only weights that passed every check are used, and a refusal is one sentence."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fer_demo import weights
from fer_demo.classifier import load_network
from fer_demo.errors import ModelUnavailable
from fer_demo.settings import Settings
from fer_demo.weights import model_names, open_weights
from tests.factories import State, rewrite_manifest, write_weights_folder

TINY = "test_resnet"


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the bundled weights."""
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    return tmp_path


@pytest.mark.parametrize("architecture", ["resnet10t", "efficientnet_lite0", "regnety_002"])
def test_a_folder_as_training_writes_it_is_opened(bundled: Path, architecture: str) -> None:
    write_weights_folder(bundled / "small", architecture, 64)
    opened = open_weights("small", Settings())
    card = opened.card
    assert (card.name, card.architecture, card.input_size) == ("small", architecture, 64)
    assert (card.source, opened.notice) == ("bundled", None)
    assert card.size_bytes == (opened.path / "model.safetensors").stat().st_size
    assert card.temperature == {"fer2013": 1, "ferplus8": 1, "ferplus7": 1}
    assert isinstance(load_network(opened), torch.nn.Module)


def test_the_weights_that_ship_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in model_names(Settings(hub_repos=())):
        assert open_weights(name, Settings(hub_repos=())).card.architecture == name


def test_without_weights_a_sentence_says_what_to_do(bundled: Path) -> None:
    with pytest.raises(ModelUnavailable, match="No weights are bundled"):
        model_names(Settings())


def test_resnet18_is_the_default_and_the_others_follow_by_name(bundled: Path) -> None:
    for name in ("vit", "resnet18", "efficientnet_b0"):
        write_weights_folder(bundled / name, TINY)
    assert model_names(Settings()) == ("resnet18", "efficientnet_b0", "vit")


def test_an_unknown_name_is_answered_with_the_known_ones(bundled: Path) -> None:
    write_weights_folder(bundled / "small", TINY)
    with pytest.raises(ModelUnavailable, match=r'no model "large". Choose one of: small\.'):
        open_weights("large", Settings())


def set_key(*path: str, to: Any) -> Callable[[dict[str, Any]], None]:
    """A change of one place in a configuration."""

    def change(config: dict[str, Any]) -> None:
        for key in path[:-1]:
            config = config[key]
        config[path[-1]] = to

    return change


def swap_labels(config: dict[str, Any]) -> None:
    names = config["label_names"]
    names[0], names[1] = names[1], names[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (swap_labels, "labels are not"),
        (set_key("pretrained_cfg", "label_names", to=["happy"]), "labels are not"),
        (set_key("architecture", to="resnet_of_mine"), "knows no architecture"),
        (set_key("architecture", to="local-dir:/tmp/x"), "knows no architecture"),
        (set_key("architecture", to="hf-hub:owner/name"), "knows no architecture"),
        (set_key("model_args", "checkpoint_path", to="/tmp/evil.pth"), "checkpoint_path"),
        (set_key("pretrained_cfg", "custom_load", to=True), "custom_load"),
        (set_key("pretrained_cfg", "hf_hub_id", to="owner/name"), "hf_hub_id"),
        (set_key("model_args", "in_chans", to=3), "grey"),
        (set_key("model_args", "output_stride", to=4), "output stride"),
        (set_key("pretrained_cfg", "input_size", to=[1, 9000, 9000]), "9000"),
        (set_key("pretrained_cfg", "input_size", to=[1, 48, 64]), "48"),
        (set_key("pretrained_cfg", "std", to=[0]), "makes no sense"),
        (set_key("fer_demo", "temperature", "ferplus7", to=float("nan")), "makes no sense"),
        (set_key("fer_demo", "uncertain_below", to=2), "uncertain_below"),
        (set_key("fer_demo", "calibration", to={"ferplus7": {"edges": 3}}), "lacks what the app"),
        (set_key("fer_demo", to={}), "lacks what the app needs"),
        (set_key("pretrained_cfg", to=7), "lacks what the app needs"),
    ],
)  # fmt: skip
def test_a_configuration_that_training_would_not_write_is_refused(
    bundled: Path, change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    write_weights_folder(bundled / "small", TINY, config=change)
    assert_refused(reason)


def drop_one(state: State) -> None:
    del state["conv1.0.weight"]


def add_one(state: State) -> None:
    state["extra"] = torch.zeros(1)


def reshape_one(state: State) -> None:
    state["fc.weight"] = state["fc.weight"].T.contiguous()


def poison(value: float) -> Callable[[State], None]:
    def change(state: State) -> None:
        state["fc.weight"][3, 5] = value

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (drop_one, "not those of test_resnet"),
        (add_one, "not those of test_resnet"),
        (reshape_one, "not those of test_resnet"),
        (poison(float("nan")), "fc.weight holds numbers that are not finite"),
        (poison(float("-inf")), "fc.weight holds numbers that are not finite"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    bundled: Path, change: Callable[[State], None], reason: str
) -> None:
    write_weights_folder(bundled / "small", TINY, state=change)
    assert_refused(reason)


@pytest.mark.parametrize("architecture", ["convnext_atto", "resnet18d"])
def test_the_end_of_the_network_decides_not_its_name(bundled: Path, architecture: str) -> None:
    write_weights_folder(bundled / "small", architecture)
    if architecture == "resnet18d":
        assert open_weights("small", Settings()).card.architecture == architecture
    else:  # a normalisation between pooling and the last layer
        assert_refused("does not end in average pooling and one linear layer")


def test_max_pooling_is_refused(bundled: Path) -> None:
    def pooled_by_maximum(config: dict[str, Any]) -> None:
        config["model_args"]["global_pool"] = "max"

    write_weights_folder(bundled / "small", TINY, config=pooled_by_maximum)
    assert_refused("global_pool")


def flip_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [flip_bit, shorten, Path.unlink])
@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_damaged_file_is_refused(
    bundled: Path, file: str, damage: Callable[[Path], None]
) -> None:
    damage(write_weights_folder(bundled / "small", TINY) / file)
    if (bundled / "small/config.json").exists():
        assert_refused(file)
    else:
        with pytest.raises(ModelUnavailable):
            open_weights("small", Settings())


def test_a_configuration_that_would_fill_the_memory_is_refused(bundled: Path) -> None:
    write_weights_folder(bundled / "small", TINY)
    with (bundled / "small/manifest.json").open("ab") as file:
        file.truncate(10**12)  # of nothing: it takes no place on the disk
    assert_refused("manifest.json is too large")


@pytest.mark.parametrize("text", [None, "<html>", "[]", "{}", '{"files": {}}', "[" * 100_000])
def test_a_missing_or_odd_manifest_is_refused(bundled: Path, text: str | None) -> None:
    path = write_weights_folder(bundled / "small", TINY) / "manifest.json"
    path.unlink() if text is None else path.write_text(text)
    assert_refused("manifest.json")


class Canary:
    """Unpickling it writes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def test_a_pickle_under_the_name_of_safetensors_never_runs(bundled: Path, tmp_path: Path) -> None:
    folder = write_weights_folder(bundled / "small", TINY)
    canary = tmp_path / "canary"
    for forge in (
        lambda: (folder / "model.safetensors").write_bytes(pickle.dumps(Canary(canary))),
        lambda: torch.save({"fc.weight": Canary(canary)}, folder / "model.safetensors"),
    ):
        forge()
        rewrite_manifest(folder)
        assert_refused("not a safetensors file")
    assert not canary.exists()
    torch.load((folder / "model.safetensors").rename(folder / "model.pt"), weights_only=False)
    assert canary.exists(), "the canary works"


def test_a_header_that_claims_more_than_the_file_holds_is_refused(bundled: Path) -> None:
    folder = write_weights_folder(bundled / "small", TINY)
    header = json.dumps({"fc.bias": {"dtype": "F32", "shape": [15], "data_offsets": [0, 10**12]}})
    forged = struct.pack("<Q", len(header)) + header.encode()
    (folder / "model.safetensors").write_bytes(forged)
    rewrite_manifest(folder)
    assert_refused("not a safetensors file")


def assert_refused(reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason) as caught:
        open_weights("small", Settings())
    sentence = str(caught.value)
    assert sentence.startswith("The bundled weights small were refused: ")
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_plain_timm_computes_what_the_app_computes(bundled: Path) -> None:
    """In a fresh process that knows nothing of this project."""
    write_weights_folder(bundled / "small", "resnet10t")
    grey = torch.arange(48 * 48).reshape(1, 48, 48).remainder(256).to(torch.uint8)
    ours, _ = load_network(open_weights("small", Settings()), slice(0, 15))(grey)
    program = """
import sys, timm, torch
grey = torch.arange(48 * 48).reshape(1, 1, 48, 48).remainder(256)
network = timm.create_model("local-dir:" + sys.argv[1], pretrained=True).eval()
config = timm.data.resolve_data_config({}, model=network)
print(network((grey / 255 - config["mean"][0]) / config["std"][0])[0].tolist())
"""
    out = subprocess.run(
        [sys.executable, "-c", program, str(bundled / "small")],
        capture_output=True, text=True, check=True, cwd=bundled,
    )  # fmt: skip
    theirs = torch.tensor(json.loads(out.stdout))
    torch.testing.assert_close(theirs, ours[0].detach(), atol=1e-4, rtol=1e-4)
