"""What a person takes home: records, CSV, JSON, an annotated PNG, a ZIP of everything. Pure.

A record is what `python -m fer_demo analyse --json` prints for one picture; a picture that could
not be read has the record `{"image": name, "error": sentence}`. Names may be alike, so each picture
has its number too.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fer_demo.draw import annotate
from fer_demo.types import EXPRESSIONS, Analysis

Record = Mapping[str, Any]

STAGES = ("decode", "detect", "crop", "classify", "total")

CSV_COLUMNS = (
    "picture",
    "image",
    "face",
    "label",
    "confidence",
    "uncertain",
    "uncertain_below",
    *EXPRESSIONS,
    "x1",
    "y1",
    "x2",
    "y2",
    "score",
    "warnings",
    "detector",
    "model",
)


def to_record(analysis: Analysis, image_name: str, number: int = 1) -> dict[str, Any]:
    """One picture as plain JSON values.

    "picture" is its number, from 1: that of its folder in the ZIP, or of its annotated file.
    Probabilities are in [0, 1]; width, height, boxes and landmarks in pixels of the upright file,
    also where a large picture was reduced on reading. "uncertain_below" is the confidence that an
    answer needed, which a person may have moved. "left_out" counts the faces beyond the limit,
    where there are any.
    """
    width, height = _full_size(analysis)
    return {
        "picture": number,
        "image": image_name,
        "width": width,
        "height": height,
        "detector": analysis.detector,
        "model": analysis.model,
        "uncertain_below": round(float(analysis.uncertain_below), 6),
        "faces": [_face_record(analysis, face) for face in range(len(analysis))],
        **({"left_out": analysis.left_out} if analysis.left_out else {}),
        "seconds": {stage: round(float(analysis.seconds.get(stage, 0)), 4) for stage in STAGES},
    }


def _full_size(analysis: Analysis) -> tuple[int, int]:
    """Width and height of the upright file, px."""
    return analysis.photo.full_size or (analysis.photo.width, analysis.photo.height)


def _face_record(analysis: Analysis, face: int) -> dict[str, Any]:
    faces, predictions, scale = analysis.faces, analysis.predictions, analysis.photo.scale
    edges = 2 * _full_size(analysis)
    probs = [round(float(share), 6) for share in predictions.probs[face]]
    top = int(predictions.top[face])
    landmarks = None
    if faces.landmarks is not None and bool(faces.has_landmarks()[face]):
        landmarks = [[round(float(v) * scale, 2) for v in point] for point in faces.landmarks[face]]
    return {
        "id": face + 1,
        # Reducing rounds the shorter side, so its far edge may come back just outside the file.
        "box": [
            round(min(float(v) * scale, edge), 2)
            for v, edge in zip(faces.xyxy[face], edges, strict=True)
        ],
        "score": round(float(faces.score[face]), 4),
        "landmarks": landmarks,
        "label": predictions.labels[top],
        "confidence": probs[top],
        "uncertain": analysis.is_uncertain(face),
        "probabilities": dict(zip(predictions.labels, probs, strict=True)),
        "warnings": list(analysis.warnings[face]),
    }


def to_records(pictures: Sequence[tuple[str, Analysis]]) -> list[dict[str, Any]]:
    """Name and analysis of each of several pictures as records, numbered in their order."""
    return [to_record(one, name, number) for number, (name, one) in enumerate(pictures, start=1)]


def to_json(records: Sequence[Record]) -> bytes:
    """A JSON array of records, UTF-8."""
    text = json.dumps(list(records), ensure_ascii=False, indent=2, allow_nan=False)
    return (text + "\n").encode()


def to_csv(records: Sequence[Record]) -> bytes:
    """One row a face, UTF-8 with a mark; pictures that could not be read have none."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for record in records:
        for face in record.get("faces", ()):
            row = {
                "picture": record["picture"],
                "image": record["image"],
                "face": face["id"],
                "label": face["label"],
                "confidence": face["confidence"],
                "uncertain": str(face["uncertain"]).lower(),
                "uncertain_below": record["uncertain_below"],
                **face["probabilities"],
                **dict(zip(("x1", "y1", "x2", "y2"), face["box"], strict=True)),
                "score": face["score"],
                "warnings": "; ".join(face["warnings"]),
                "detector": record["detector"],
                "model": record["model"],
            }
            writer.writerow({key: _inert(value) for key, value in row.items()})
    return out.getvalue().encode("utf-8-sig")  # without its mark Excel takes it for another code


_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""The last four are full-width: Excel in Japanese takes them for the first."""


def _inert(cell: object) -> object:
    """A text cell that no spreadsheet takes for a formula.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS):
        return "'" + cell
    return cell


def png(pixels: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) pixels as a file, fast to write and without metadata."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def annotated_png(analysis: Analysis) -> bytes:
    """The photo in its own size, a small one enlarged, with numbered boxes."""
    return png(annotate(analysis))


def to_zip(pictures: Sequence[tuple[str, Analysis]], refused: Sequence[Record] = ()) -> bytes:
    """Everything about several pictures.

    Members are named by number alone (`picture-001/annotated.png`, `picture-001/face-001.png`),
    so no name that came from outside becomes a path; numbers and names stand in `faces.csv` and
    `faces.json`.

    Args:
        pictures: name and analysis of each.
        refused: records of pictures that could not be read.
    """
    records = to_records(pictures)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        archive.writestr("faces.csv", to_csv(records))
        archive.writestr("faces.json", to_json([*records, *refused]))
        for number, (_, analysis) in enumerate(pictures, start=1):
            folder = f"picture-{number:03d}"
            archive.writestr(f"{folder}/annotated.png", annotated_png(analysis))
            for face, crop in enumerate(analysis.crops.colour, start=1):
                archive.writestr(f"{folder}/face-{face:03d}.png", png(crop))
    return buffer.getvalue()
