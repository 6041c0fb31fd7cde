"""From a weights folder to the Hub, and from there to a person who uploads a photo."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from huggingface_hub import constants
from playwright.sync_api import Page, expect

from fer_demo.weights import DETECTOR_FILE, DETECTOR_REPO, DETECTOR_REVISION
from tests.factories import write_weights_folder
from tests.hub_server import TOKEN, HubServer, use
from tests.training.conftest import tiny_faces
from tests.ui.conftest import example_png
from tests.ui.live_app import serve
from training import publish
from training.evaluate import Model, measure
from training.folder import weights_sha256

REPO = "me/fer-tiny"


def write_evaluation(folder: Path) -> None:
    """What `training.evaluate` would write of it, on a few made faces."""
    faces = tiny_faces(35)
    results, _ = measure(Model(folder.name, [folder]), faces)
    document = {
        "data": "tiny", "split": "public_test", "n": len(faces), "tta": False, "caution": "",
        "weights": {folder.name: weights_sha256(folder)}, "results": {folder.name: results},
    }  # fmt: skip
    (folder / "evaluation.json").write_text(json.dumps(document))


def test_published_weights_answer_in_the_app_that_names_their_repository(
    page: Page, yunet_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = write_weights_folder(tmp_path / "tiny", "test_resnet")
    write_evaluation(folder)
    secrets = tmp_path / "home/.streamlit/secrets.toml"
    secrets.parent.mkdir(parents=True)
    secrets.write_text(f'FER_HUB_REPOS = "{REPO}"\nHF_TOKEN = "{TOKEN}"\n')
    with HubServer() as hub:
        hub.commit(DETECTOR_REPO, {DETECTOR_FILE: yunet_file.read_bytes()}, oid=DETECTOR_REVISION)
        with monkeypatch.context() as publishing:
            use(hub, tmp_path / "publisher", publishing)
            publishing.setenv("HF_TOKEN", TOKEN)
            publishing.setattr(constants, "HF_HUB_DISABLE_XET", True)
            assert publish.main(["--weights", str(folder), "--repo", REPO, "--private"]) == 0
        commit = hub.repos[REPO].branches["main"]
        for name in ("FER_HUB_REPOS", "HF_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        where = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "cold")}
        where["HOME"] = str(tmp_path / "home")
        with serve(tmp_path, yunet_file, **where) as (url, _):
            page.goto(url)
            picture = {"name": "me.png", "mimeType": "image/png", "buffer": example_png("one")}
            page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files([picture])
            expect(page.locator(".st-key-card-1").get_by_alt_text("evidence for")).to_be_visible()
            link = page.locator(".st-key-weights").get_by_role("link")
            expect(link).to_have_text(f"{REPO}@{commit[:7]}")
            expect(link).to_have_attribute("href", f"{hub.url}/{REPO}/blob/{commit}/README.md")
            page.reload()  # a second visit finds everything there
            page.get_by_role("button", name="One face").click()
            expect(page.locator(".st-key-card-1").get_by_alt_text("evidence for")).to_be_visible()
            expect(page.get_by_text("simpler face detector")).to_have_count(0)
    assert hub.count("GET", "/store") == 2, "the weights and the detector, once each"
    fetched = [seen for seen in hub.seen if re.search(rf"{REPO}/resolve/.*\.json", seen.path)]
    assert fetched
    assert all(seen.authorization == f"Bearer {TOKEN}" for seen in fetched)
