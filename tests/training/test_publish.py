"""What is published is what was measured, and timm and the app load it as it stands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard, constants

from fer_demo.classifier import load_network
from fer_demo.settings import Settings
from fer_demo.weights import open_weights
from tests.conftest import ROOT
from tests.factories import write_weights_folder
from tests.hub_server import TOKEN, HubServer, restart, use
from tests.training.conftest import tiny_faces
from training import evaluate, publish
from training.evaluate import measure
from training.folder import weights_sha256
from training.model_card import model_card
from training.predict import Model, Network

REPO = "me/fer-tiny"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with a real evaluation of it beside the weights; not to be changed."""
    folder = write_weights_folder(tmp_path_factory.mktemp("measured") / "tiny", "test_resnet")
    faces = tiny_faces(140)
    results, _ = measure(
        Model("tiny", [Network(folder)]), faces, unseen=np.arange(len(faces)) % 2 == 0
    )
    document = {
        "data": "tiny", "split": "public_test", "n": len(faces), "tta": False, "caution": None,
        "weights": {"tiny": weights_sha256(folder)}, "results": {"tiny": results},
    }  # fmt: skip
    (folder / "evaluation.json").write_text(json.dumps(document))
    return folder


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub that this process sees, with a token that may write."""
    with HubServer() as running:
        use(running, tmp_path / "home", monkeypatch)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        # Xet's own servers are not part of the loopback Hub; large files go by LFS instead.
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield running


def run(folder: Path, *options: str) -> int:
    return publish.main(["--weights", str(folder), "--repo", REPO, *options])


PLAIN_TIMM = """
import json, sys, timm, torch
assert not any(name.startswith(("fer_demo", "training")) for name in sys.modules)
grey = torch.arange(48 * 48).reshape(1, 1, 48, 48).remainder(256) / 255
answers = []
for name in sys.argv[1:]:
    network = timm.create_model(name, pretrained=True).eval()
    config = timm.data.resolve_data_config({}, model=network)
    assert config["input_size"] == (1, 48, 48), config
    answers.append(network((grey - config["mean"][0]) / config["std"][0])[0].tolist())
print(json.dumps(answers))
"""


def test_a_publication_is_loaded_by_the_app_and_by_plain_timm(
    server: HubServer,
    measured: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(measured, "--private") == 0
    out = capsys.readouterr().out
    repo = server.repos[REPO]
    assert repo.private
    assert list(repo.messages.values()) == ["initial commit", "Publish tiny"]
    commit = repo.branches["main"]
    assert f'DEFAULT_HUB_REPOS: tuple[str, ...] = ("{REPO}@{commit}",)' in out
    for file in ("config.json", "model.safetensors", "manifest.json", "evaluation.json"):
        assert repo.commits[commit][file] == (measured / file).read_bytes()

    name = f"{REPO}@{commit}"
    opened = open_weights(name, Settings(hub_repos=(name,)))
    assert (opened.notice, opened.card.source) == (None, name)
    grey = torch.arange(48 * 48).reshape(1, 48, 48).remainder(256).to(torch.uint8)
    ours = load_network(opened, slice(0, 15))(grey)[0][0].detach()

    done = subprocess.run(
        [sys.executable, "-c", PLAIN_TIMM, f"hf-hub:{name}", f"local-dir:{measured}"],
        cwd=tmp_path, capture_output=True, text=True, check=True, env={**os.environ},
    )  # fmt: skip
    for theirs in json.loads(done.stdout):
        torch.testing.assert_close(torch.tensor(theirs), ours, atol=1e-4, rtol=1e-4)


def test_the_model_card_says_what_was_measured(server: HubServer, measured: Path) -> None:
    assert run(measured) == 0
    repo = server.repos[REPO]
    assert not repo.private
    card = ModelCard(repo.commits[repo.branches["main"]]["README.md"].decode())
    data = card.data.to_dict()
    assert data["license"] == "other"
    assert (data["library_name"], data["pipeline_tag"]) == ("timm", "image-classification")
    results = json.loads((measured / "evaluation.json").read_text())["results"]["tiny"]
    told = {(r.dataset_name, r.metric_type): r.metric_value for r in card.data.eval_results}
    for words, head in (("FER2013's seven", "fer2013"), ("FER+, most votes", "ferplus7")):
        (value,) = (v for (name, kind), v in told.items() if words in name and kind == "accuracy")
        assert value == results[head]["accuracy"]
    headings = re.findall(r"^## (.*)$", card.text, re.MULTILINE)
    assert headings == [
        "How to load it", "Intended use", "Out of scope", "Training data and terms", "Results",
        "Calibration", "Known failures", "Training",
    ]  # fmt: skip
    assert "Article 5(1)(f)" in card.text
    assert f'timm.create_model("hf-hub:{REPO}", pretrained=True)' in card.text
    assert f"{100 * results['ferplus7']['unseen']['accuracy']:.2f}" in card.text
    (ece,) = (v for (name, k), v in told.items() if "seven classes" in name and k.startswith("exp"))
    assert ece == results["fer2013"]["ece_calibrated"] != results["fer2013"]["ece"]


def test_where_nothing_was_fitted_the_calibration_error_is_that_of_the_weights_as_they_are(
    measured: Path,
) -> None:
    config = json.loads((measured / "config.json").read_text())
    document = json.loads((measured / "evaluation.json").read_text())
    shown = document["results"]["tiny"]["ferplus7"]
    for split, key in (("public_test", "ece_calibrated"), ("private_test", "ece")):
        card = ModelCard(model_card("tiny", REPO, config, document | {"split": split}))
        kind = "expected_calibration_error"
        told = [r for r in card.data.eval_results if r.metric_type == kind]
        assert shown[key] in [r.metric_value for r in told]
        assert f"| {shown['nll']:.3f} | {100 * shown[key]:.2f} % |" in card.text
        assert ("weights as they are" in card.text) == (key == "ece")


def test_the_model_card_says_what_its_figures_are_not(measured: Path) -> None:
    config = json.loads((measured / "config.json").read_text())
    document = json.loads((measured / "evaluation.json").read_text())
    caution = "test is PublicTest and PrivateTest merged."
    assert caution in model_card("tiny", REPO, config, document | {"caution": caution})


def test_the_model_card_gives_the_cross_fitted_calibration_where_there_is_one(
    server: HubServer, measured: Path
) -> None:
    path = measured / "config.json"
    config = json.loads(path.read_text())
    held_out = {"n": 1234, "ece": 0.0321, "ece_interval": [0.008, 0.021]}
    ours = config["fer_demo"] | {"calibration": {"ferplus7": held_out}}
    results = json.loads((measured / "evaluation.json").read_text())
    card = model_card("tiny", REPO, config | {"fer_demo": ours}, results)
    assert "cross-fitted on 1,234 pictures: 3.21 %." in card
    assert "between 0.80 and 2.10 %" in card
    assert "cross-fitted" not in model_card("tiny", REPO, config, results)


def test_a_second_publication_is_one_more_commit(
    server: HubServer, measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(measured) == 0
    other = write_weights_folder(tmp_path / "tiny", "test_resnet", seed=1)
    document = json.loads((measured / "evaluation.json").read_text())
    document["weights"]["tiny"] = weights_sha256(other)
    (other / "evaluation.json").write_text(json.dumps(document))
    assert run(other) == 0
    assert len(server.repos[REPO].commits) == 3
    restart(monkeypatch)
    opened = open_weights(REPO, Settings(hub_repos=(REPO,)))
    assert opened.card.source == f"{REPO}@{server.repos[REPO].branches['main']}"


def test_a_dry_run_writes_the_tree_and_asks_nobody(
    server: HubServer,
    measured: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(measured, "--dry-run") == 0
    tree = tmp_path / "runs/publish/me--fer-tiny"
    assert str(tree.relative_to(tmp_path)) in capsys.readouterr().out
    assert {path.name for path in tree.iterdir()} == {
        "config.json", "model.safetensors", "manifest.json", "evaluation.json", "README.md",
    }  # fmt: skip
    assert server.seen == []


@pytest.fixture
def copy(measured: Path, tmp_path: Path) -> Path:
    """The measured folder, to be spoilt."""
    return shutil.copytree(measured, tmp_path / "tiny")


def test_an_evaluation_of_other_weights_is_refused(
    server: HubServer, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_weights_folder(copy, "test_resnet", seed=1)
    os.utime(copy / "evaluation.json")  # the newest file, as all are after a clone
    assert run(copy) == 1
    assert "was measured on other weights than those in" in capsys.readouterr().err
    assert server.seen == []


def test_what_evaluation_writes_is_what_publishing_takes(
    copy: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = ["--json", str(copy / "evaluation.json")]
    assert evaluate.main(["--weights", str(copy), "--data", str(tiny_data), *out]) == 0
    assert run(copy, "--dry-run") == 0


def test_the_weights_that_ship_can_be_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folders = [config.parent for config in (ROOT / "fer_demo/weights").glob("*/config.json")]
    assert folders
    assert [run(folder, "--dry-run") for folder in folders] == [0] * len(folders)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "is missing. Write it with training.evaluate --json."),
        ("{", "is not JSON."),
        ("[]", "was not written by training.evaluate."),
        ('{"results": {}}', "was not written by training.evaluate."),
        ('{"results": {"other": {}}, "weights": {}}', "holds no results of tiny."),
        ('{"results": {"tiny": {"fer2013": {}}}, "weights": SHA}', "lacks figures of tiny"),
    ],
)
def test_an_unfit_evaluation_is_refused(
    server: HubServer, copy: Path, text: str | None, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "evaluation.json").unlink()
    if text is not None:
        text = text.replace("SHA", json.dumps({"tiny": weights_sha256(copy)}))
        (copy / "evaluation.json").write_text(text)
    assert run(copy) == 1
    assert reason in capsys.readouterr().err
    assert server.seen == []


def test_weights_that_the_app_would_refuse_are_not_published(
    server: HubServer, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (copy / "model.safetensors").open("ab") as file:
        file.write(b".")
    assert run(copy) == 1
    assert "model.safetensors is not the file that manifest.json names." in capsys.readouterr().err
    assert server.seen == []


def test_a_refusal_of_the_hub_is_a_sentence(
    server: HubServer,
    measured: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.commit(REPO, {})
    assert run(measured, "--private") == 1
    assert "exists and is public" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert run(measured) == 1
    assert "Set HF_TOKEN to a token that may." in capsys.readouterr().err
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert run(measured) == 1
    assert "The Hub could not be reached" in capsys.readouterr().err
    assert len(server.repos[REPO].commits) == 1


def test_a_name_that_is_no_repository_is_refused(
    measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("tiny", "a/b/c", "../x"):
        assert publish.main(["--weights", str(measured), "--repo", name]) == 1
        assert capsys.readouterr().err == "--repo takes owner/name.\n"
