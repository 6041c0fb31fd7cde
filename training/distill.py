"""What teachers say of every training image, cached for their students' runs.

    python -m training.distill --weights DIR [--weights DIR ...] --data DIR --out runs/targets.npz
    python -m training.train --recipe RECIPE --data DIR --out RUN --targets runs/targets.npz

Each teacher's logits are averaged over a picture and its mirror image; over the teachers their
probabilities are, as each one's own calibration leaves them. A student follows them at a
temperature (Hinton et al. 2015, arXiv:1503.02531), for teachers are too sure of pictures that they
have trained on. The file is a run's artefact: it follows from the weights and is not committed.
"""

from __future__ import annotations

import io
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_demo.ensemble import together
from fer_demo.types import FER2013_HEAD, FERPLUS_HEAD, NUM_LOGITS
from training.command import add_data, add_weights, parser_of, told
from training.data import fingerprint, read_split, tell_cautions
from training.folder import named_weights
from training.formats import DataError, LabelledFaces
from training.predict import Network
from training.record import write_whole


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Teachers' logits of one set of pictures."""

    logits: NDArray[np.float32]
    """(N, 15), up to a constant of each head: the log of the teachers' mean probabilities."""
    pixels: str
    """sha256 of the pictures, (N, 48, 48) uint8."""
    teachers: tuple[str, ...]
    """Folder name and the first 12 digits of the sha256 of each one's weights."""


def teach(folders: list[Path], faces: LabelledFaces) -> Targets:
    """The targets of a set of pictures by the mean of several weights folders.

    Raises:
        FolderError: one is not a weights folder of this project.
    """
    each = [Network(folder).logits(faces.grey, flip=True) for folder in folders]
    heads = [
        together([logits[:, columns] for logits in each], temperature=1.0)
        for columns in (FER2013_HEAD, FERPLUS_HEAD)
    ]
    logits = np.concatenate(heads, axis=1)
    return Targets(logits, fingerprint(faces.grey), tuple(map(named_weights, folders)))


def write_targets(targets: Targets, path: Path) -> None:
    """Write an .npz file, whole or not at all."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        logits=targets.logits.astype(np.float16),
        pixels=np.array(targets.pixels),
        teachers=np.array(targets.teachers),
    )
    write_whole(path, buffer.getvalue())


def read_targets(path: Path, faces: LabelledFaces) -> Targets:
    """The targets that `write_targets` wrote of these pictures.

    Raises:
        DataError: the file is missing, is none of ours, or was made of other pictures.
    """
    try:
        with np.load(path) as file:
            targets = Targets(
                file["logits"].astype(np.float32),
                str(file["pixels"]),
                tuple(map(str, file["teachers"])),
            )
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} holds no teachers' targets: {error}.") from None
    same = targets.pixels == fingerprint(faces.grey)
    if not same or targets.logits.shape != (len(faces), NUM_LOGITS):
        raise DataError(
            f"{path} was made of other pictures than these {len(faces):,}: make it anew with "
            "python -m training.distill."
        )
    return targets


@told
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = parser_of("distill", __doc__)
    add_weights(parser, several=True)
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="the .npz file to write")
    given = parser.parse_args(arguments)
    faces = read_split(given.data, "train")
    tell_cautions(faces)
    targets = teach(given.weights, faces)
    write_targets(targets, given.out)
    print(f"{given.out}: {len(targets.logits):,} pictures, taught by {', '.join(targets.teachers)}")


if __name__ == "__main__":
    sys.exit(main())
