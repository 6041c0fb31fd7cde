"""Labelled face crops, and the files in which people have them: parquet, CSV, pictures."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fer_demo.errors import FerDemoError
from fer_demo.types import EXPRESSIONS, GREY_SIDE
from training.votes import FERPLUS_COLUMNS

SPLITS = {"train": "Training", "public_test": "PublicTest", "private_test": "PrivateTest"}
"""Our names of FER2013's splits, and its own."""

FOLDER_NAMES = dict(zip(EXPRESSIONS, EXPRESSIONS, strict=True)) | {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}
"""Emotion folders of the copies in circulation."""

SKIP = "skip"
"""In a label map: leave these pictures out."""

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


class DataError(FerDemoError):
    """Data that cannot be used; the message is a sentence naming the file and row."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFaces:
    """Face crops with FER2013's label and, where they are known, FER+ votes."""

    grey: NDArray[np.uint8]
    """(N, 48, 48) uint8."""
    label: NDArray[np.int64]
    """(N,) index into EXPRESSIONS."""
    votes: NDArray[np.uint8] | None
    """(N, 10) FER+ annotators' votes in FERPLUS_COLUMNS' order."""
    caution: str = ""
    """A sentence on what figures from this data are not, or nothing."""
    for_selection: bool = True
    """Whether models may be chosen and calibrated on it."""

    def __len__(self) -> int:
        return len(self.grey)

    def __getitem__(self, index: NDArray[np.integer] | NDArray[np.bool_] | slice) -> LabelledFaces:
        """The rows at `index`, in that order."""
        votes = None if self.votes is None else self.votes[index]
        return replace(self, grey=self.grey[index], label=self.label[index], votes=votes)


def read_parquet(files: list[Path], labels: Mapping[str, str] | None = None) -> LabelledFaces:
    """Shards of the Hugging Face image convention, in the order given.

    Raises:
        DataError: one is damaged, or some have votes and some have not.
    """
    parts = [_read_shard(file, labels or {}) for file in files]
    votes = [part.votes for part in parts if part.votes is not None]
    if 0 < len(votes) < len(parts):
        without = next(f for f, p in zip(files, parts, strict=True) if p.votes is None)
        raise DataError(f"{without} has no column votes, though other shards beside it have.")
    return LabelledFaces(
        np.concatenate([part.grey for part in parts]),
        np.concatenate([part.label for part in parts]),
        np.concatenate(votes) if votes else None,
    )


def _read_shard(file: Path, labels: Mapping[str, str]) -> LabelledFaces:
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{file} is truncated or not a parquet file ({error}).") from None
    missing = sorted({"image", "label"} - set(table.column_names))
    if missing or len(table) == 0:
        what = f"no column {missing[0]}" if missing else "no rows"
        raise DataError(f"{file} has {what}.")
    grey = []
    for row, image in enumerate(table["image"].to_pylist()):
        data = image.get("bytes") if isinstance(image, dict) else None
        grey.append(_decode(data or b"", f"{file}, row {row}"))
    label = [
        _label(value, f"{file}, row {row}", labels)
        for row, value in enumerate(table["label"].to_pylist())
    ]
    votes = None
    if "votes" in table.column_names:
        rows = table["votes"].to_pylist()
        votes = np.stack([_votes(row, f"{file}, row {i}") for i, row in enumerate(rows)])
    return _without_skipped(grey, label, votes)


def read_csv(file: Path, split: str, labels: Mapping[str, str] | None = None) -> LabelledFaces:
    """Kaggle's fer2013.csv, with the votes of fer2013new.csv where that lies beside it.

    Rows in messages count from 0, without the header.
    """
    grey, label, rows = [], [], []
    usages = []
    for row, line in enumerate(_csv_rows(file, ("emotion", "pixels", "Usage"))):
        usages.append(line["Usage"])
        if line["Usage"] not in SPLITS.values():
            raise DataError(f'{file}, row {row}: Usage "{line["Usage"]}" is none of FER2013\'s.')
        if line["Usage"] != SPLITS[split]:
            continue
        try:
            pixels = np.array(line["pixels"].split(), np.int64)
        except (ValueError, OverflowError):
            raise DataError(f"{file}, row {row}: pixels are not all numbers.") from None
        if len(pixels) != GREY_SIDE**2 or pixels.min() < 0 or pixels.max() > 255:
            raise DataError(f"{file}, row {row}: not 48x48 grey levels of 0 to 255.")
        grey.append(pixels.astype(np.uint8).reshape(GREY_SIDE, GREY_SIDE))
        label.append(_label(line["emotion"], f"{file}, row {row}", labels or {}))
        rows.append(row)
    if not grey:
        raise DataError(f"{file} has no rows of {SPLITS[split]}.")
    beside = file.with_name("fer2013new.csv")
    votes = _read_votes(beside, usages)[rows] if beside.is_file() else None
    return _without_skipped(grey, label, votes)


def _csv_rows(file: Path, wanted: tuple[str, ...]) -> Iterator[dict[str, str]]:
    with file.open(newline="", encoding="utf-8-sig") as stream:
        try:
            reader = csv.DictReader(stream)
            # One copy in circulation writes " Usage" and " pixels".
            reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            missing = [name for name in wanted if name not in reader.fieldnames]
            if missing:
                raise DataError(f"{file} has no column {missing[0]}.")
            for row, line in enumerate(reader):
                if any(line[name] is None for name in wanted):
                    raise DataError(f"{file}, row {row}: the line is cut short.")
                yield line
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{file} is not a CSV file in UTF-8 ({error}).") from None


def _read_votes(file: Path, usages: list[str]) -> NDArray[np.uint8]:
    """Every row of fer2013new.csv, which goes line by line with fer2013.csv."""
    votes = []
    for row, line in enumerate(_csv_rows(file, ("Usage", *FERPLUS_COLUMNS))):
        if row < len(usages) and line["Usage"] != usages[row]:
            raise DataError(f"{file}, row {row}: Usage differs from fer2013.csv's.")
        votes.append(_votes([line[name] for name in FERPLUS_COLUMNS], f"{file}, row {row}"))
    if len(votes) != len(usages):
        raise DataError(f"{file} has {len(votes):,} rows, fer2013.csv has {len(usages):,}.")
    return np.stack(votes)


def read_folder(folder: Path, labels: Mapping[str, str] | None = None) -> LabelledFaces:
    """Square face crops in one folder an expression, brought to 48x48 grey, in name order."""
    grey, label = [], []
    names = dict(FOLDER_NAMES) | {k.lower(): v for k, v in (labels or {}).items()}
    for emotion in sorted(path for path in folder.iterdir() if path.is_dir()):
        name = names.get(emotion.name.lower())
        if name is None:
            raise DataError(
                f"{emotion}: not the name of an expression. Give --labels "
                f"{emotion.name}=EXPRESSION, or {emotion.name}=skip."
            )
        if name == SKIP:
            continue
        for file in sorted(p for p in emotion.iterdir() if p.suffix.lower() in PICTURES):
            grey.append(_decode(file.read_bytes(), str(file), resize=True))
            label.append(EXPRESSIONS.index(name))
    if not grey:
        raise DataError(f"{folder} holds no pictures in folders named after expressions.")
    return _without_skipped(grey, label, None)


def _decode(data: bytes, where: str, *, resize: bool = False) -> NDArray[np.uint8]:
    pixels = (
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if len(data) else None
    )
    if pixels is None:
        raise DataError(f"{where}: not a readable picture.")
    if resize and pixels.shape[0] == pixels.shape[1]:
        pixels = cv2.resize(pixels, (GREY_SIDE, GREY_SIDE), interpolation=cv2.INTER_AREA)
    if pixels.shape != (GREY_SIDE, GREY_SIDE):
        wanted = "square" if resize else "48x48"
        raise DataError(f"{where}: {pixels.shape[1]}x{pixels.shape[0]} pixels, not {wanted}.")
    return np.asarray(pixels, np.uint8)


def _label(value: object, where: str, labels: Mapping[str, str]) -> int:
    """Index into EXPRESSIONS, -1 for a label that the map skips."""
    mapped = labels.get(str(value))
    if mapped is not None:
        return -1 if mapped == SKIP else EXPRESSIONS.index(mapped)
    if str(value).strip() not in ("0", "1", "2", "3", "4", "5", "6"):
        raise DataError(f"{where}: label {value!r} is not one of 0 to 6.")
    return int(str(value))


def _votes(row: object, where: str) -> NDArray[np.uint8]:
    try:
        votes = np.array(row, np.float64)
    except (ValueError, TypeError):
        votes = np.zeros(0)
    whole = votes.shape == (10,) and bool((votes == np.rint(votes)).all())
    if not whole or votes.min() < 0 or votes.max() > 10 or votes.sum() == 0:
        raise DataError(f"{where}: not ten counts of votes from 0 to 10, of which one is not 0.")
    return votes.astype(np.uint8)


def _without_skipped(
    grey: list[NDArray[np.uint8]], label: list[int], votes: NDArray[np.uint8] | None
) -> LabelledFaces:
    faces = LabelledFaces(np.stack(grey), np.array(label, np.int64), votes)
    return faces[faces.label >= 0]
