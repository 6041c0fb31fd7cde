"""Write the mean of several weights of one network, of which one was trained on from another.

    python -m training.average --weights BEFORE --weights AFTER --to DIR

Weights at both ends of a further training lie in one basin, and those between them are often
better than either: what was learned last is kept, and less of what was before is forgotten
(Wortsman et al. 2022, arXiv:2109.01903). Of networks that were trained apart the mean is worth
nothing. Temperatures are taken out first and are 1 until `training.calibrate` has fitted them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from training.command import add_weights, parser_of, told
from training.folder import (
    FolderError,
    check_manifest,
    named_weights,
    read_config,
    read_state,
    trainable_state,
    write_folder,
)


def average(folders: list[Path], to: Path) -> dict[str, Any]:
    """Write the weights folder `to`, with the last one's recipe; returns its config.

    Raises:
        FolderError: there are not two or more, or they are not of one network.
    """
    if len(folders) < 2:
        raise FolderError("The mean takes two or more --weights.")
    configs = [read_config(folder) for folder in folders]
    config = configs[-1]
    for folder, other in zip(folders, configs, strict=True):
        for key in ("architecture", "model_args"):
            if other[key] != config[key]:
                raise FolderError(
                    f"{folders[-1]} has {key} {config[key]}, {folder} {other[key]}: only weights "
                    "of one network have a mean."
                )
        check_manifest(folder)
    states = [trainable_state(folder, config["architecture"]) for folder in folders]
    stored = read_state(folders[-1])
    mean = {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(tensor.dtype)
        for name, tensor in stored.items()
    }
    recipes = [one["fer_demo"]["recipe"] for one in configs]
    # Settings are of the last one's run, what the mean has behind it is of all.
    history: dict[str, Any] = {"epochs_done": max(one.get("epochs_done", 0) for one in recipes)}
    if teachers := [name for one in recipes for name in one.get("teachers", ())]:
        history["teachers"] = list(dict.fromkeys(teachers))
    recipes[-1].pop("changed", None)  # at steps of its own run
    config["fer_demo"] = {
        "format": 1,
        "temperature": dict.fromkeys(config["fer_demo"]["temperature"], 1.0),
        "uncertain_below": 0.5,
        "recipe": recipes[-1] | history | {"mean_of": list(map(named_weights, folders))},
    }
    write_folder(to, config, mean)
    return config


@told
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = parser_of("average", __doc__)
    add_weights(parser, several=True)
    parser.add_argument("--to", type=Path, required=True, help="weights folder to write")
    given = parser.parse_args(arguments)
    config = average(given.weights, given.to)
    of = ", ".join(config["fer_demo"]["recipe"]["mean_of"])
    print(f"{given.to}: {config['architecture']}, the mean of {of}. Not calibrated yet.")


if __name__ == "__main__":
    sys.exit(main())
