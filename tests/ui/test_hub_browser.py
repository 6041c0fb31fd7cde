"""From a weights folder to the Hub, and from there to a person who uploads a photo."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from playwright.sync_api import Page, expect

from fer_demo.weights import DETECTOR_FILE, DETECTOR_REPO, DETECTOR_REVISION
from tests.factories import write_weights_folder
from tests.hub_server import TOKEN, HubServer, use
from tests.server import serve
from tests.training.conftest import tiny_faces
from tests.ui.conftest import example_png
from tests.ui.test_photo_browser import NARROW, open_app, settled, sideways
from training import publish
from training.evaluate import measure
from training.folder import weights_sha256
from training.predict import Model, Network

REPO, OTHER = "me/fer-tiny", "me/fer-other"


def write_evaluation(folder: Path) -> None:
    """What `training.evaluate` would write of it, on a few made faces."""
    faces = tiny_faces(35)
    results, _ = measure(Model(folder.name, [Network(folder)]), faces)
    document = {
        "data": "tiny", "split": "public_test", "n": len(faces), "tta": False, "caution": "",
        "weights": {folder.name: weights_sha256(folder)}, "results": {folder.name: results},
    }  # fmt: skip
    (folder / "evaluation.json").write_text(json.dumps(document))


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory, yunet_file: Path
) -> Iterator[tuple[str, HubServer]]:
    """The app, whose secrets name two repositories of a Hub, a private one published by us."""
    folder = tmp_path_factory.mktemp("published")
    tiny = write_weights_folder(folder / "tiny", "test_resnet")
    other = write_weights_folder(folder / "other", "test_resnet", 96, seed=1)
    write_evaluation(tiny)
    secrets = folder / "home/.streamlit/secrets.toml"
    secrets.parent.mkdir(parents=True)
    secrets.write_text(f'FER_HUB_REPOS = "{REPO}@main,{OTHER}"\nHF_TOKEN = "{TOKEN}"\n')
    with HubServer() as hub, pytest.MonkeyPatch.context() as patch:
        use(hub, folder / "publisher", patch)
        patch.setenv("HF_TOKEN", TOKEN)
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        assert publish.main(["--weights", str(tiny), "--repo", REPO, "--private"]) == 0
        hub.commit_folder(OTHER, other)
        hub.commit(DETECTOR_REPO, {DETECTOR_FILE: yunet_file.read_bytes()}, oid=DETECTOR_REVISION)
        for name in ("FER_HUB_REPOS", "HF_TOKEN"):
            patch.delenv(name, raising=False)
        where = {"HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / "cold")}
        with serve(folder, yunet_file, HOME=str(folder / "home"), **where) as (url, _):
            yield url, hub


def test_published_weights_answer_in_the_app_that_names_their_repository(
    page: Page, published: tuple[str, HubServer]
):
    url, hub = published
    commit = hub.repos[REPO].branches["main"]
    page.goto(url)
    picture = {"name": "me.png", "mimeType": "image/png", "buffer": example_png("one")}
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files([picture])
    evidence = page.locator(".st-key-card-1").get_by_alt_text("map for")
    expect(evidence).to_be_visible()
    link = page.locator(".st-key-weights").get_by_role("link")
    expect(link).to_have_text(f"{REPO}@{commit[:7]}")
    expect(link).to_have_attribute("href", f"{hub.url}/{REPO}/blob/{commit}/README.md")
    page.reload()  # a second visit finds everything there
    page.get_by_role("button", name="One face").click()
    expect(evidence).to_be_visible()
    expect(page.get_by_text("simpler face detector")).to_have_count(0)


@NARROW
def test_two_models_stand_side_by_side_on_a_phone(page: Page, published: tuple[str, HubServer]):
    url, hub = published
    open_app(page, url, "?example=several")
    expect(page.locator(".st-key-card-1")).to_be_visible()
    page.get_by_text("Compare the models").click()
    one, other = (page.get_by_alt_text(f"the evidence of {name}") for name in (REPO, OTHER))
    expect(one).to_be_visible()
    expect(other).to_be_visible()
    expect(page.get_by_text("Together they ")).to_be_visible()
    expect(page.locator(".js-plotly-plot .bars path")).to_have_count(14)
    left, right = settled(one), settled(other)
    assert round(left["y"]) == round(right["y"])
    assert left["x"] + left["width"] < right["x"]
    assert sideways(page) <= 0
    assert hub.count("GET", "/store") == 3, "two networks and the detector, once each"
    fetched = [seen for seen in hub.seen if re.search(rf"{REPO}/resolve/.*\.json", seen.path)]
    assert fetched
    assert all(seen.authorization == f"Bearer {TOKEN}" for seen in fetched)
