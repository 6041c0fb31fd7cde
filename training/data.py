"""FER2013 with FER+ votes, as arrays, from every form in which people have it: which images a split
has, and what may be done with them.

Parquet shards; Kaggle's `fer2013.csv`, with FER+'s `fer2013new.csv` beside it or not; folders of
pictures, `train/<emotion>/*` and `test/` or `validation/`. The last carry no votes.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_demo.types import EXPRESSIONS
from training.formats import (
    PICTURES,
    SKIP,
    SPLITS,
    DataError,
    LabelledFaces,
    read_csv,
    read_folder,
    read_parquet,
)

SHARD = r"([.-].*)?"
"""What follows a split's name in that of a file or folder of it, as in train-00000-of-00002."""

OFFICIAL_COUNTS = {"train": 28_709, "public_test": 3_589, "private_test": 3_589}

MERGED_TESTS = (28_709, 7_178)
"""Pictures in train/ and test/ of the copy whose test/ is PublicTest and PrivateTest."""

TRAINS_ON_TESTS = (28_821, 7_066)
"""Pictures in train/ and validation/ of the copy that divides the images anew."""


def fingerprint(*arrays: NDArray[Any] | None) -> str:
    """sha256 of arrays, by which records know them again; None adds nothing."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(b"" if array is None else array.tobytes())
    return digest.hexdigest()


def votes_of(faces: LabelledFaces) -> NDArray[np.uint8]:
    """(N, 10) FER+ votes.

    Raises:
        DataError: the faces have none.
    """
    if faces.votes is None:
        raise DataError("This needs FER+ votes, and these images have none.")
    return faces.votes


def tell_cautions(*sets: LabelledFaces) -> None:
    """Write to stderr what figures from these sets are not."""
    for faces in sets:
        if faces.caution:
            print(faces.caution, file=sys.stderr)


def read_split(data: Path, split: str, labels: Mapping[str, str] | None = None) -> LabelledFaces:
    """One split of a labelled set.

    Args:
        data: a folder in one of the three forms, a folder of emotion folders (which is read
            whole), a CSV file, or a parquet file (which is read whole).
        split: "train", "public_test" or "private_test".
        labels: names of folders, or numbers, to expressions, where they are not FER2013's;
            "skip" leaves pictures out.

    Raises:
        DataError: nothing usable is there; the sentence names the file and row.
    """
    labels = dict(labels or {})
    wrong = sorted(set(labels.values()) - {*EXPRESSIONS, SKIP})
    if wrong:
        raise DataError(
            f'A label map gives one of {", ".join(EXPRESSIONS)} or "skip", not {wrong}.'
        )
    if data.is_file() and data.suffix == ".parquet":
        return read_parquet([data], labels)
    if data.is_file() and data.suffix == ".csv":
        return _check_count(read_csv(data, split, labels), data, split)
    if not data.is_dir():
        raise DataError(f"{data} is not a folder, a .parquet or a .csv file.")
    if any(data.glob("*.parquet")):
        files = [f for f in sorted(data.glob("*.parquet")) if re.fullmatch(split + SHARD, f.stem)]
        if not files:
            raise DataError(f"{data} holds no {split}.parquet and no shards of it.")
        return _check_count(read_parquet(files, labels), data, split)
    if (data / "fer2013.csv").is_file():
        return _check_count(read_csv(data / "fer2013.csv", split, labels), data, split)
    return _read_folder_split(data, split, labels)


def read_train_and_valid(data: Path) -> tuple[LabelledFaces, LabelledFaces]:
    """What a run trains on, and PublicTest, on which it is watched.

    Raises:
        DataError: nothing usable is there, or the two would be the same pictures.
    """
    train = read_split(data, "train")
    if is_one_set(data):
        raise DataError(f"{data} is one set: training needs train and test apart.")
    return train, read_split(data, "public_test")


def is_one_set(data: Path) -> bool:
    """Whether `read_split` reads it whole, whichever split is asked for."""
    if not data.is_dir():
        return data.suffix == ".parquet"
    if any(data.glob("*.parquet")) or (data / "fer2013.csv").is_file():
        return False
    return not any((data / name).is_dir() for name in ("train", "test", "validation"))


def split_name(data: Path, split: str) -> str:
    """What records call the images that `read_split` gives: one set bears its own name."""
    if not is_one_set(data):
        return split
    return next((name for name in SPLITS if re.fullmatch(name + SHARD, data.name)), data.name)


def _check_count(faces: LabelledFaces, data: Path, split: str) -> LabelledFaces:
    official = OFFICIAL_COUNTS[split]
    if len(faces) == official:
        return faces
    sentence = f"{data} holds {len(faces):,} {split} images, not FER2013's {official:,}."
    return replace(faces, caution=sentence)


def _read_folder_split(data: Path, split: str, labels: Mapping[str, str]) -> LabelledFaces:
    """A copy with train/, and validation/ or test/ or both, or a plain folder of emotion folders.

    Of both, test/ is the part that is held out: PrivateTest.
    """
    folders = _parts(data)
    if not folders:
        faces, alone = read_folder(data, labels), data.resolve()
        beside = _parts(alone.parent)
        if alone not in beside or _sizes(beside) not in (MERGED_TESTS, TRAINS_ON_TESTS):
            return faces  # a set of any name, whose folder may be called test as well
        return replace(faces, **_caution(alone, beside))
    held = folders[1:]
    index = list(SPLITS).index(split)
    if split == "private_test" and len(held) < 2:
        raise DataError(f"{data} is a copy in folders: none of them keeps PrivateTest apart.")
    if index >= len(folders) or not folders[index].is_dir():
        raise DataError(
            f"{data} has no {'train/' if split == 'train' else 'test/ or validation/'}."
        )
    wanted = folders[index]
    return replace(read_folder(wanted, labels), **_caution(wanted, folders))


def _parts(data: Path) -> list[Path]:
    """train/ and what a copy in folders holds out, in our order of splits; none without any.

    train/ stands in the list where it is missing, too.
    """
    held = [data / name for name in ("validation", "test") if (data / name).is_dir()]
    train = data / "train"
    return [train, *held] if held or train.is_dir() else []


def _caution(wanted: Path, folders: list[Path]) -> dict[str, Any]:
    """What is to be said of a part of a copy in folders, as fields of `LabelledFaces`.

    Args:
        wanted: the part.
        folders: all of them.
    """
    sizes, index = _sizes(folders), folders.index(wanted)
    if sizes == tuple(OFFICIAL_COUNTS.values()):
        return {}
    if sizes == MERGED_TESTS:
        if index == 0:
            return {}
        return {
            "caution": f"{wanted} is PublicTest and PrivateTest merged: its figures compare with "
            "nobody's, and nothing may be selected on it.",
            "for_selection": False,
        }
    if sizes == TRAINS_ON_TESTS:
        return {
            "caution": f"{wanted.parent} is not the official split: its train/ contains images of "
            "FER2013's tests, so figures on those tests would not count.",
            "for_selection": False,
        }
    return {
        "caution": f"{wanted.parent} is not a copy of FER2013 that is known here "
        f"({' and '.join(f'{size:,}' for size in sizes)} pictures): its figures compare with "
        "nobody's."
    }


def _sizes(folders: list[Path]) -> tuple[int, ...]:
    """How many pictures lie in each."""
    return tuple(
        sum(path.suffix.lower() in PICTURES for path in folder.glob("*/*")) for folder in folders
    )
