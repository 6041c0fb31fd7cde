"""Write the averaged weights of a run as a weights folder.

    python -m training.export --run runs/resnet18 --to fer_demo/weights/resnet18

Temperatures are 1 until `training.calibrate` has fitted them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import timm

from fer_demo.errors import FerDemoError
from fer_demo.types import NUM_LOGITS
from training import baselines
from training.command import parser_of, told
from training.folder import folder_config, half_weights, write_folder
from training.run import read_checkpoint


class ExportError(FerDemoError):
    """A run that cannot be exported; the message is a sentence."""


def export(run: Path, to: Path) -> dict[str, Any]:
    """Write the weights folder `to` from the last checkpoint of `run`; returns its config.

    Raises:
        ExportError: the run holds no checkpoint, or a network that the app cannot run.
        TrainingStopped: the checkpoint cannot be read.
    """
    path = run / "last.pt"
    if not path.is_file():
        raise ExportError(f"{run} holds no checkpoint (last.pt).")
    checkpoint = read_checkpoint(path)
    recipe, step = checkpoint["recipe"], checkpoint["step"]
    if recipe["architecture"] in baselines.__all__:
        raise ExportError(
            f"{run} cannot be exported: {recipe['architecture']} is a baseline, and the app's "
            "networks are timm's own. training.sweep measures it as it is."
        )
    if recipe.get("channels", 1) != 1 or recipe.get("pooling", "avg") != "avg":
        raise ExportError(
            f"{run} cannot be exported: the app's networks have one grey channel and average "
            "pooling."
        )
    if not checkpoint.get("learns_ferplus", True):  # not in the first checkpoints
        raise ExportError(
            f"{run} cannot be exported: nothing taught it FER+'s classes, and the app shows no "
            "others. It needs votes and a ferplus_weight above 0, or teachers."
        )
    network = timm.create_model(
        recipe["architecture"],
        in_chans=1,
        num_classes=NUM_LOGITS,
        output_stride=recipe["output_stride"],
    )
    network.load_state_dict(checkpoint["ema"])
    network.eval()
    # Epochs are of the weights, not of this run alone: it may have gone on from a folder (in the
    # first checkpoints that did, what was before is not kept). All else is of the last run.
    done = checkpoint["history"][-1]["epoch"] if checkpoint["history"] else 0
    trained = {**recipe, "steps": step, "epochs_done": checkpoint.get("epochs_before", 0) + done}
    trained["made_by"] = checkpoint.get("made_by", "unknown code")
    if checkpoint.get("changed"):
        trained["changed"] = checkpoint["changed"]
    teachers = [*checkpoint.get("teachers_before", ()), *checkpoint.get("teachers", ())]
    if teachers:
        trained["teachers"] = list(dict.fromkeys(teachers))
    if checkpoint.get("began_from"):
        trained["began_from"] = checkpoint["began_from"]
    config = folder_config(
        network, recipe["architecture"], recipe["input_size"], recipe["output_stride"], trained
    )
    write_folder(to, config, half_weights(network))
    return config


@told
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = parser_of("export", __doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of training.train --out")
    parser.add_argument("--to", type=Path, required=True, help="weights folder to write")
    given = parser.parse_args(arguments)
    config = export(given.run, given.to)
    done = config["fer_demo"]["recipe"]["epochs_done"]
    print(f"{given.to}: {config['architecture']} after {done} epochs. Not calibrated yet.")


if __name__ == "__main__":
    sys.exit(main())
