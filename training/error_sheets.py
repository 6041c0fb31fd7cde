"""Contact sheets of the most confident errors. They show FER2013's images: keep them local."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_demo.types import EXPRESSIONS
from training.formats import LabelledFaces
from training.metrics import softmax
from training.votes import FERPLUS_COLUMNS

TILE, CAPTION, COLUMNS, ROWS = 144, 52, 6, 4


def write_sheets(
    folder: Path, faces: LabelledFaces, logits: NDArray[np.floating], label: NDArray[np.int64]
) -> list[Path]:
    """One PNG a confused pair, `TRUE_as_PREDICTED.png`, the most confident errors first.

    Args:
        folder: made where it is missing.
        faces: N images; their votes stand below them.
        logits: (N, 7).
        label: (N,), -1 where an image has none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    probs = softmax(logits)
    given, confidence = probs.argmax(1), probs.max(1)
    sheets = []
    for true, true_name in enumerate(EXPRESSIONS):
        for said, said_name in enumerate(EXPRESSIONS):
            rows = np.flatnonzero((label == true) & (given == said))
            if true == said or len(rows) == 0:
                continue
            rows = rows[np.argsort(-confidence[rows], kind="stable")][: COLUMNS * ROWS]
            path = folder / f"{true_name}_as_{said_name}.png"
            cv2.imwrite(str(path), _sheet(faces, rows, confidence))
            sheets.append(path)
    return sheets


def _sheet(
    faces: LabelledFaces, rows: NDArray[np.int64], confidence: NDArray[np.floating]
) -> NDArray[np.uint8]:
    height = -(-len(rows) // COLUMNS) * (TILE + CAPTION)
    sheet = np.full((height, COLUMNS * TILE), 255, np.uint8)
    for place, row in enumerate(rows):
        y, x = place // COLUMNS * (TILE + CAPTION), place % COLUMNS * TILE
        sheet[y : y + TILE, x : x + TILE] = cv2.resize(
            faces.grey[row], (TILE, TILE), interpolation=cv2.INTER_CUBIC
        )
        lines = [f"row {row}, {100 * confidence[row]:.0f} %"]
        if faces.votes is not None:
            voted = np.argsort(-faces.votes[row].astype(int), kind="stable")[:4]
            words = [
                f"{FERPLUS_COLUMNS[v][:8]} {faces.votes[row, v]}"
                for v in voted
                if faces.votes[row, v]
            ]
            lines += [", ".join(words[:2]), ", ".join(words[2:])]
        for i, line in enumerate(lines):
            cv2.putText(
                sheet, line, (x + 3, y + TILE + 14 + 15 * i), cv2.FONT_HERSHEY_SIMPLEX, 0.38, 0
            )
    return sheet
