"""What was measured of the bundled models, and the published figures of others.

Beside a model's weights lie `evaluation.json` (what `training.evaluate --json` wrote) and
`faithfulness.json` (what `training.explain --json` wrote). Either may be absent: then its part is
None, and the page says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUNDLED = Path(__file__).parent / "weights"
PEERS = Path(__file__).with_name("peers.json")

HEADS = {
    "fer2013": "FER2013, seven classes, its own labels",
    "ferplus8": "FER+, eight classes, strict majority of ten votes",
    "ferplus7": "FER+, the seven classes this app shows, most votes",
}
"""The three protocols, whose figures are never mixed."""

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """One model's figures, as they were written."""

    name: str
    card: Json
    """config.json."""
    heads: Json
    """Results by protocol; empty where the model was not evaluated."""
    split: str
    """What it was measured on, in words; "" where it was not."""
    faithfulness: Json | None

    @property
    def calibration(self) -> Json | None:
        """What calibration found for the head that the app shows, or None."""
        found: Json | None = self.card.get("fer_demo", {}).get("calibration", {}).get("ferplus7")
        return found


SPLITS = {"public_test": "PublicTest", "private_test": "PrivateTest", "train": "Training"}


def bundled(folder: Path | None = None) -> tuple[Measured, ...]:
    """Every model in the folder, by name; that of the bundled weights where None.

    Raises:
        ValueError: a file is not JSON.
    """
    return tuple(
        _model(config.parent) for config in sorted((folder or BUNDLED).glob("*/config.json"))
    )


def _model(folder: Path) -> Measured:
    evaluation = _read(folder / "evaluation.json") or {}
    results = evaluation.get("results", {})
    # Measured under a working name, it is the file's only model.
    heads = results.get(folder.name) or (next(iter(results.values())) if len(results) == 1 else {})
    split = SPLITS.get(evaluation.get("split", ""), evaluation.get("data", ""))
    return Measured(
        name=folder.name,
        card=_read(folder / "config.json") or {},
        heads=heads,
        split=f"{split}, with the mirrored crop averaged in" if evaluation.get("tta") else split,
        faithfulness=_read(folder / "faithfulness.json"),
    )


def peers() -> dict[str, list[dict[str, Any]]]:
    """Published figures by protocol, each with its source."""
    found: dict[str, list[dict[str, Any]]] = json.loads(PEERS.read_text())
    return found


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return found
