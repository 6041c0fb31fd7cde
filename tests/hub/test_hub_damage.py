"""What arrives damaged or unfit is refused and deleted, and the next start recovers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.factories import State, rewrite_manifest, write_weights_folder
from tests.hub.conftest import REPO, assert_bundled, flipped, from_hub, kept
from tests.hub_failures import body, on, short, status
from tests.hub_protocol import Handler
from tests.hub_server import HubServer, restart
from tests.test_weights import Canary


def test_a_flipped_bit_is_refused_and_deleted(
    server: HubServer, small: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.commit_folder(REPO, small)
    server.interfere = on("/store", body(flipped((small / "model.safetensors").read_bytes())))
    assert_bundled(from_hub(), "model.safetensors is not the file that manifest.json names")
    assert kept(fresh) == []
    server.interfere = lambda handler: False
    assert from_hub().notice is None


def test_a_short_body_is_refused(server: HubServer, small: Path, fresh: Path) -> None:
    server.commit_folder(REPO, small)
    data = (small / "model.safetensors").read_bytes()
    server.interfere = on("/store", body(data[:-1000]))
    assert_bundled(from_hub(), "it arrived incomplete")
    server.interfere = on("/store", short(data, 1000))
    assert_bundled(from_hub(), "the connection broke off")
    assert not [*fresh.rglob("*.safetensors"), *fresh.rglob("*.incomplete")]


def test_a_connection_that_breaks_once_is_tried_again(server: HubServer, small: Path) -> None:
    server.commit_folder(REPO, small)
    data = (small / "model.safetensors").read_bytes()

    def once(handler: Handler) -> bool:
        broken = server.count("GET", "/store") == 1 and handler.route.startswith("/store")
        if broken:
            short(data, 1000)(handler)
        return broken

    server.interfere = once
    assert from_hub().notice is None
    assert server.count("GET", "/store") == 2


def test_a_damaged_cache_is_deleted_and_fetched_anew(
    server: HubServer, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = server.commit_folder(REPO, small)
    name = f"{REPO}@{commit}"
    blob = (from_hub(name).path / "model.safetensors").resolve()
    good = blob.read_bytes()
    blob.write_bytes(flipped(good))
    assert from_hub(name).notice is None, "fetched anew in the same start"
    blob.write_bytes(flipped(good))
    server.interfere = on("", status(500))
    assert_bundled(from_hub(name), "in trouble")
    assert not blob.exists()
    server.interfere = lambda handler: False
    restart(monkeypatch)
    assert from_hub(name).notice is None


def test_damage_that_cannot_be_deleted_is_refused(
    server: HubServer, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{REPO}@{server.commit_folder(REPO, small)}"
    blob = (from_hub(name).path / "model.safetensors").resolve()
    blob.write_bytes(flipped(blob.read_bytes()))

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(Path, "unlink", refuse)
    assert_bundled(from_hub(name), "model.safetensors is not the file that manifest.json names")


def poison(state: State) -> None:
    state["fc.weight"][0, 0] = float("nan")


def narrow(state: State) -> None:
    state["fc.weight"] = state["fc.weight"][:7].contiguous()


def rename_label(config: dict[str, Any]) -> None:
    config["label_names"][3] = "fer2013/smile"


def many_classes(config: dict[str, Any]) -> None:
    config["num_classes"] = 1000


def fix_the_size(config: dict[str, Any]) -> None:
    config["pretrained_cfg"]["fixed_input_size"] = True


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"state": poison}, "not finite"),
        ({"state": narrow}, "tensors are not those of test_resnet"),
        ({"config": many_classes}, "it does not have 15 classes"),
        ({"config": fix_the_size}, "made for pictures of one size"),
        ({"config": rename_label}, "labels are not FER2013's seven and FER+'s eight"),
    ],
)
def test_unfit_weights_are_refused_and_deleted(
    server: HubServer, tmp_path: Path, fresh: Path, change: dict[str, Any], reason: str
) -> None:
    server.commit_folder(REPO, write_weights_folder(tmp_path / "x", "test_resnet", **change))
    assert_bundled(from_hub(), reason)
    assert kept(fresh) == []


def test_a_pickle_from_the_hub_never_runs(
    server: HubServer, small: Path, tmp_path: Path, fresh: Path
) -> None:
    folder = shutil.copytree(small, tmp_path / "x")
    canary = tmp_path / "canary"
    torch.save({"fc.weight": Canary(canary)}, folder / "model.safetensors")
    rewrite_manifest(folder)
    server.commit_folder(REPO, folder)
    assert_bundled(from_hub(), "not a safetensors file")
    assert not canary.exists()
    assert kept(fresh) == []
