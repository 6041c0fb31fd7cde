"""The figures that ship, measured anew of the weights that ship."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fer_demo.ensemble import ENSEMBLE
from fer_demo.predictors import predictor_names
from fer_demo.settings import Settings
from fer_demo.weights import BUNDLED, model_names
from tests.conftest import ROOT, require
from training import evaluate
from training.folder import weights_sha256
from training.model_card import model_card

SETTINGS = Settings(hub_repos=())

ROWS = {
    "resnet18": "| ResNet-18, ",
    "efficientnet_b0": "| EfficientNet-B0, ",
    ENSEMBLE: "| both together",
}
"""What the row of each starts with, in the README's table."""

RESULTS = ROOT / "training/results"

TRAINING_README = (ROOT / "training/README.md").read_text()

PASSAGES = [
    *(line for line in TRAINING_README.splitlines() if line.startswith("|")),
    *(" ".join(part.split()) for part in re.split(r"\n\n|\n- ", TRAINING_README)),
]
"""Rows of tables, paragraphs, items of lists: what is told of one thing stands in one of them."""

FLIPPED = 2
"""Images that may be called otherwise than on the machine that measured. Processors round the
logits differently in the sixth digit, GPUs in the third; an image whose two best are as near to
each other as that can fall to either side."""


@pytest.fixture(scope="module")
def rerun(fer2013: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every network that ships, alone and together, on PublicTest: what `evaluate` writes."""
    data = fer2013 / "public_test.parquet"
    require(data.is_file(), f"FER2013's PublicTest is absent ({data})")
    out = tmp_path_factory.mktemp("rerun") / "evaluation.json"
    given = ["--data", str(data), "--json", str(out)]
    for name in model_names(SETTINGS):
        given += ["--weights", str(BUNDLED / name)]
    assert evaluate.main(given) == 0
    return json.loads(out.read_text())


@pytest.mark.parametrize("name", predictor_names(SETTINGS))
def test_a_rerun_of_evaluate_reproduces_the_accuracy_that_ships(
    name: str, rerun: dict[str, Any]
) -> None:
    folder = BUNDLED if name == ENSEMBLE else BUNDLED / name
    shipped = json.loads((folder / "evaluation.json").read_text())
    assert shipped["weights"].items() <= rerun["weights"].items(), "measured of other weights"
    assert (shipped["split"], shipped["tta"]) == (rerun["split"], rerun["tta"])
    heads = shipped["results"][name]
    assert list(heads) == ["fer2013", "ferplus8", "ferplus7"]
    for head, told in heads.items():
        found = rerun["results"][name][head]
        assert found["n"] == told["n"]
        right, wanted = (round(report["accuracy"] * report["n"]) for report in (found, told))
        assert abs(right - wanted) <= FLIPPED, f"{head}: {right} right, not {wanted}"


@pytest.fixture(scope="module")
def flipped() -> dict[str, Any]:
    """What `evaluate --tta` wrote, whose figures head the README of training."""
    return json.loads((RESULTS / "public_test_tta.json").read_text())


def test_the_figures_with_the_flip_are_of_the_weights_that_ship(flipped: dict[str, Any]) -> None:
    names = model_names(SETTINGS)
    assert flipped["weights"] == {name: weights_sha256(BUNDLED / name) for name in names}
    assert (flipped["split"], flipped["tta"]) == ("public_test", True)


@pytest.mark.parametrize("name", ROWS)
def test_the_readme_gives_the_figures_that_ship(name: str) -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    (row,) = (line for line in lines if line.startswith(ROWS[name]))
    told = re.findall(r"\d+\.\d", row.split("|", 2)[2])
    folder = BUNDLED if name == ENSEMBLE else BUNDLED / name
    heads = json.loads((folder / "evaluation.json").read_text())["results"][name]
    fer2013, ferplus8, ferplus7 = heads.values()
    shown = (fer2013, fer2013["unseen"], ferplus8, ferplus7, ferplus7["unseen"])
    wanted = [report[key] for report in shown for key in ("accuracy", "standard_error")]
    if name == ENSEMBLE:
        calibration = json.loads((BUNDLED / "ensemble.json").read_text())["calibration"]
    else:
        config = json.loads((BUNDLED / name / "config.json").read_text())
        calibration = config["fer_demo"]["calibration"]
    wanted += [calibration["ferplus7"]["ece"], *calibration["ferplus7"]["ece_interval"]]
    assert told == [f"{100 * figure:.1f}" for figure in wanted]


@pytest.mark.parametrize("name", ROWS)
def test_the_training_readme_gives_the_figures_that_ship(
    name: str, flipped: dict[str, Any]
) -> None:
    (row, *_) = (line for line in TRAINING_README.splitlines() if line.startswith(ROWS[name]))
    folder = BUNDLED if name == ENSEMBLE else BUNDLED / name
    plain = json.loads((folder / "evaluation.json").read_text())["results"][name]["fer2013"]
    fer2013, ferplus8, ferplus7 = flipped["results"][name].values()
    assert [cell.strip() for cell in row.split("|")[6:11]] == [
        percent(plain),
        percent(fer2013).split()[0],
        percent(fer2013["unseen"]).split()[0],
        percent(ferplus8),
        percent(ferplus7),
    ]


def percent(report: dict[str, Any]) -> str:
    """Accuracy with its standard error, as in the table."""
    return f"{100 * report['accuracy']:.2f} ± {100 * report['standard_error']:.2f}"


def test_the_readmes_give_the_figures_of_small_and_turned_faces() -> None:
    results = json.loads((BUNDLED / "evaluation.json").read_text())["results"]
    readme = " ".join((ROOT / "README.md").read_text().split())
    small = {name: results[name]["ferplus7"]["small_faces"] for name in ROWS}
    for width, found in small[ENSEMBLE].items():
        shares = [f"{100 * small[name][width]['accuracy']:.1f}" for name in ROWS]
        cells = " | ".join([width, *shares])
        assert f"| {cells} |" in TRAINING_README or f"| as they are, {cells} |" in TRAINING_README
        if width != "36 to 48 px":
            assert re.search(rf"{width}[a-z ]* {100 * found['accuracy']:.1f} %", readme) or (
                f"{100 * found['accuracy']:.1f} % of FER2013's own crops of {width}" in readme
            )
    pose = results[ENSEMBLE]["ferplus7"]["pose"]
    told = next(part for part in PASSAGES if "By pose (" in part)
    for bins in (pose["yaw"], pose["size"]):
        first, *others, last = (f"{100 * found['accuracy']:.1f}" for found in bins.values())
        n = f"{next(iter(bins.values()))['n']:,}"
        assert f"{first} % of the {n} " in told
        assert f"{', '.join(others)} and {last} %" in told


def test_the_training_readme_gives_what_is_kept_under_corruptions() -> None:
    results = json.loads((BUNDLED / "evaluation.json").read_text())["results"]
    for name, begins in ROWS.items():
        kept = [f"{100 * r['corruptions_relative']:.1f}" for r in results[name].values()]
        (row,) = (
            line
            for line in TRAINING_README.splitlines()
            if line.startswith(begins.rstrip(", ")) and " MB |" in line
        )
        assert row.split("|")[4].strip() == f"{', '.join(kept)} %"


SWEEPS = [path for path in sorted(RESULTS.glob("*.json")) if "rows" in json.loads(path.read_text())]


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_the_training_readme_gives_the_figures_of_a_sweep(path: Path) -> None:
    for row in json.loads(path.read_text())["rows"]:
        told = [str(value).removesuffix(".0").lstrip("0") for value in row["settings"].values()]
        for head in ("fer2013", "ferplus8"):
            if head not in row:
                continue
            found = row[head]
            told.append(f"{100 * found['accuracy']:.1f} ± {100 * found['standard_error']:.1f}")
            if "nll_interval" in found:
                figures = (found["nll_difference"], *found["nll_interval"])
                difference = "{} [{}, {}]".format(*(f"{figure:+.3f}" for figure in figures))
                told.append(difference.replace("0.", "."))
        assert any(all(words in passage for words in told) for passage in PASSAGES), (
            f"{row['settings']}: {told}"
        )


@pytest.mark.parametrize("name", model_names(SETTINGS))
def test_the_model_card_names_every_other_network_that_went_into_the_weights(name: str) -> None:
    config = json.loads((BUNDLED / name / "config.json").read_text())
    document = json.loads((BUNDLED / name / "evaluation.json").read_text())
    card = model_card(name, f"someone/{name}", config, document)
    origin = card.partition("## Training\n")[0]
    recipe = config["fer_demo"]["recipe"]
    others = [*recipe["teachers"], *recipe.get("mean_of", ()), recipe["began_from"]]
    assert len(set(others)) >= 3
    for other in others:
        assert f"`{other}`" in origin
