"""Measure how honest the heat maps are, and write it as JSON for the Models page.

    python -m training.explain --weights DIR --data FILE_OR_DIR --json OUT [--images 500]

On random images of PublicTest, for the class that the network names: deletion, insertion and ROAD
of each method, of a centred Gaussian (the face prior: on aligned faces any centred map scores
well) and of random maps as coarse as the network's own; gains over these and over plain Grad-CAM
with the 95 % interval of a paired bootstrap over images; and what becomes of a map when the
weights are made random, stage by stage from the last (Adebayo et al. 2018).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fer_demo.classifier import (
    Classifier,
    EvidenceNetwork,
    create_engine,
    load_network,
    torch_engine,
)
from fer_demo.saliency import GradientMaps, enlarged, grey_crops, occlusion
from fer_demo.settings import Settings
from fer_demo.types import FERPLUS7_HEAD, GREY_SIDE, Crops
from fer_demo.weights import WeightsFolder
from training.command import add_data, add_weights, parser_of, told
from training.data import read_split, split_name, tell_cautions
from training.faithfulness import (
    BLUR,
    ROAD_SHARES,
    STEPS,
    Ask,
    Pictures,
    Values,
    deletion_and_insertion,
    pictures,
    randomised_step_by_step,
    rank_correlation,
    ranks,
    road,
)
from training.folder import verified_folder
from training.metrics import bootstrap
from training.record import write_json

COMPARED = "influence"
"""What the summary holds against the references: the method that the Photo page opens with."""

REFERENCES = ("grad_cam", "face_prior", "random")
SIGNS = {"deletion": -1, "insertion": 1, "road": 1}
"""Of a gain: a lower area under the deletion curve is better."""

PRIOR_SIGMA = 12.0
"""Of the face prior, px of 48: a quarter of the crop."""

RANDOM_NETWORKS = 3

BATCH = 64

Maps = Callable[[Crops, NDArray[np.int64]], NDArray[np.float32]]
"""N crops and (N,) classes to (N, h, w)."""


def methods(classifier: Classifier, network: EvidenceNetwork) -> dict[str, Maps]:
    """What is compared, by name."""
    gradients = GradientMaps(network)

    def evidence(crops: Crops, classes: NDArray[np.int64]) -> NDArray[np.float32]:
        parts = [classifier.predict(some).evidence for some in batches(crops.grey)]
        return np.concatenate(parts)[np.arange(len(crops)), classes]

    def face_prior(crops: Crops, classes: NDArray[np.int64]) -> NDArray[np.float32]:
        at = np.arange(GREY_SIDE) - (GREY_SIDE - 1) / 2
        bell = np.exp(-(at**2) / (2 * PRIOR_SIGMA**2))
        return np.repeat(np.outer(bell, bell)[None].astype(np.float32), len(crops), axis=0)

    def chance(crops: Crops, classes: NDArray[np.int64]) -> NDArray[np.float32]:
        cells = classifier.predict(grey_crops(crops.grey[:1])).evidence.shape[2:]
        return np.random.default_rng(0).normal(size=(len(crops), *cells)).astype(np.float32)

    return {
        "influence": lambda crops, classes: gradients.influence(crops, classes[:, None])[:, 0],
        "evidence": evidence,
        "grad_cam": lambda crops, classes: np.maximum(evidence(crops, classes), 0),
        "layer_cam": lambda crops, classes: gradients.layer_cam(crops, classes[:, None])[:, 0],
        "occlusion": lambda crops, classes: occlusion(classifier, crops)[
            np.arange(len(crops)), classes
        ],
        "face_prior": face_prior,
        "random": chance,
    }


def batches(grey: NDArray[np.uint8]) -> Iterator[Crops]:
    """Crops of (N, 48, 48), some at a time."""
    return (grey_crops(grey[i : i + BATCH]) for i in range(0, len(grey), BATCH))


def interval(values: Values) -> dict[str, float]:
    """Mean and 95 % bootstrap interval of one figure an image, as the JSON holds them."""
    return {
        key: round(value, 5)
        for key, value in zip(("mean", "low", "high"), bootstrap(values), strict=True)
    }


def scores(ask: Ask, shown: Pictures, maps: NDArray[np.float32]) -> dict[str, Values]:
    """One figure an image, by measure, of maps (N, h, w)."""
    rank = ranks(enlarged(maps, GREY_SIDE))
    deletion, insertion = deletion_and_insertion(ask, shown, rank)
    return {"deletion": deletion, "insertion": insertion, "road": road(ask, shown, rank)}


def gains(
    measured: Mapping[str, Mapping[str, Values]], name: str
) -> dict[str, dict[str, dict[str, float]]]:
    """How much better a method is than each reference, paired by image; above 0 is better."""
    return {
        reference: {
            measure: interval(sign * (measured[name][measure] - measured[reference][measure]))
            for measure, sign in SIGNS.items()
        }
        for reference in REFERENCES
        if reference != name
    }


def randomisation(
    weights: WeightsFolder, crops: Crops, classes: NDArray[np.int64], seeds: int = RANDOM_NETWORKS
) -> dict[str, list[dict[str, Any]]]:
    """Rank correlation of the trained network's maps with those of ever more random weights.

    Returns:
        By method, one entry a stage: `stage` (random from the last layer down to this one), and
        the mean correlation with its interval over images. The last stage, where everything is
        random, is the average of `seeds` networks; those on the way are of the first.
    """
    trained = _maps_of(load_network(weights), crops, classes)
    found: dict[str, dict[str, list[Values]]] = {name: {} for name in trained}
    stages: list[str] = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        whole = load_network(weights)
        for stage in randomised_step_by_step(whole.network):
            if seed == 0:
                stages.append(stage)
            elif stage != stages[-1]:
                continue
            # Built anew, since it copies the last layer.
            now = EvidenceNetwork(
                whole.network, FERPLUS7_HEAD, whole.size, whole.mean, whole.std
            ).eval()
            for name, maps in _maps_of(now, crops, classes).items():
                correlation = rank_correlation(trained[name], maps)
                found[name].setdefault(stage, []).append(correlation)
    return {
        name: [{"stage": stage} | interval(np.mean(each, axis=0)) for stage, each in stages.items()]
        for name, stages in found.items()
    }


def _maps_of(
    network: EvidenceNetwork, crops: Crops, classes: NDArray[np.int64]
) -> dict[str, NDArray[np.float32]]:
    """(N, h, w) by each method that looks into the network."""
    run, gradients = torch_engine(network, torch.device("cpu")), GradientMaps(network)
    evidence = np.concatenate([run(some.grey)[1] for some in batches(crops.grey)])
    return {
        "influence": gradients.influence(crops, classes[:, None])[:, 0],
        "evidence": evidence[np.arange(len(crops)), classes],
        "layer_cam": gradients.layer_cam(crops, classes[:, None])[:, 0],
    }


def explain(weights: WeightsFolder, grey: NDArray[np.uint8]) -> dict[str, Any]:
    """The document of one weights folder on these crops (N, 48, 48); progress goes to stderr."""
    network = load_network(weights)
    classifier = Classifier(weights.card, create_engine(network, Settings.from_environment()))
    crops = grey_crops(grey)

    def ask(some: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.concatenate([classifier.predict(few).probs for few in batches(some)])

    shown = pictures(ask, grey)
    measured, seconds, grids = {}, {}, {}
    for name, make in methods(classifier, load_network(weights)).items():
        start = time.perf_counter()
        maps = make(crops, shown.classes)
        seconds[name] = (time.perf_counter() - start) / len(grey)
        grids[name] = list(maps.shape[1:])
        measured[name] = scores(ask, shown, maps)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return {
        "weights": weights.card.name,
        "sha256": weights.card.sha256,
        "images": len(grey),
        "probability": {"whole": interval(shown.whole), "blurred": interval(shown.empty)},
        "settings": {
            "blur_sigma_px": BLUR,
            "steps": STEPS,
            "road_shares": list(ROAD_SHARES),
            "prior_sigma_px": PRIOR_SIGMA,
            "random_networks": RANDOM_NETWORKS,
        },
        "methods": {
            name: {measure: interval(values) for measure, values in figures.items()}
            | {"grid": grids[name], "seconds_a_face": round(seconds[name], 5)}
            for name, figures in measured.items()
        },
        "gains": {name: gains(measured, name) for name in measured if name not in REFERENCES},
        "randomisation": randomisation(weights, crops, shown.classes),
    }


def summary(document: dict[str, Any]) -> str:
    """The table for people."""
    lines = [f"{'':12}{'deletion':>10}{'insertion':>11}{'ROAD':>8}   (lower, higher, higher)"]
    for name, figures in document["methods"].items():
        deletion, insertion, kept = (figures[key]["mean"] for key in SIGNS)
        lines.append(f"{name:12}{deletion:10.4f}{insertion:11.4f}{kept:8.4f}")
    for reference, figures in document["gains"][COMPARED].items():
        for measure, gain in figures.items():
            better = "better" if gain["low"] > 0 else "no better"
            lines.append(
                f"{COMPARED} is {better} than {reference} on {measure}: "
                f"{gain['mean']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}]"
            )
    for name, stages in document["randomisation"].items():
        last = stages[-1]
        lines.append(
            f"{name}, all weights random: rank correlation {last['mean']:.3f} "
            f"[{last['low']:.3f}, {last['high']:.3f}]"
        )
    return "\n".join(lines)


@told
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = parser_of("explain", __doc__)
    add_weights(parser)
    add_data(parser)
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    parser.add_argument("--images", type=int, default=500, help="%(default)s by default")
    given = parser.parse_args(arguments)
    weights = verified_folder(given.weights)
    faces = read_split(given.data, "public_test")
    tell_cautions(faces)
    count = min(given.images, len(faces))
    chosen = np.random.default_rng(0).choice(len(faces), count, replace=False)
    split = split_name(given.data, "public_test")
    document = {"data": given.data.name, "split": split, "caution": faces.caution}
    document |= explain(weights, faces.grey[np.sort(chosen)])
    print(summary(document))
    write_json(given.json, document)


if __name__ == "__main__":
    sys.exit(main())
