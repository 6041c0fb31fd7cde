"""What was measured of the bundled models, and the published figures of others.

Beside a model's weights lie `evaluation.json` (what `training.evaluate --json` wrote),
`faithfulness.json` (`training.explain --json`), `outside.json` (`training.outside --json`) and
`bench.json` (`fer_demo bench --json`). Beside the folders lie `ensemble.json`
(`training.ensemble`) and `evaluation.json`, of all models together. Each may be absent: then its
part is empty, and the page says so. What names other weights than those that lie there counts as
absent, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_demo.ensemble import ENSEMBLE, FILE, is_of
from fer_demo.types import SHOWN_PROTOCOL
from fer_demo.weights import BUNDLED

PEERS = Path(__file__).with_name("peers.json")

LABELS_OF = {
    "fer2013": "its own labels, one of seven classes for each picture",
    "ferplus8": "more than half of ten votes, single ones dropped, for one of eight classes",
    "ferplus7": "most of ten votes, where they name one of the seven classes this app shows",
}
"""What answers are held against, by protocol."""

SPLITS = {"public_test": "PublicTest", "private_test": "PrivateTest", "train": "Training"}

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """One model's figures, as they were written."""

    name: str
    card: Json
    """config.json, or the part of it that several models together have."""
    heads: Json
    """Results by protocol; empty where the model was not evaluated."""
    split: str
    """What it was measured on, in words; "" where it was not."""
    faithfulness: Json | None = None
    outside: Json | None = None
    """What it does with faces that it was not made for."""
    bench: Json | None = None
    members: int = 1
    """How many models answer together."""

    @property
    def calibration(self) -> Json | None:
        """What calibration found for the head that the app shows, or None."""
        measured = self.card.get("fer_demo", {}).get("calibration", {})
        found: Json | None = measured.get(SHOWN_PROTOCOL)
        return found


def bundled(folder: Path | None = None) -> tuple[Measured, ...]:
    """Every model in the folder, by name, then all together; the bundled ones where None.

    Raises:
        ValueError: a file is not what its command writes.
    """
    folder = folder or BUNDLED
    paths = [config.parent for config in sorted(folder.glob("*/config.json"))]
    models = [_model(path) for path in paths]
    together = _together(folder, paths)
    return tuple(models if together is None else [*models, together])


def faithfulness_of(sha256: str | None, folder: Path | None = None, name: str = "*") -> Json | None:
    """What was measured of the heat maps of these weights, or None.

    Args:
        sha256: of model.safetensors.
        folder: of the weights folders; that of the bundled ones where None.
        name: of the weights folder; any where "*", since weights of the Hub may be those that are
            bundled.
    """
    paths = sorted((folder or BUNDLED).glob(f"{name}/faithfulness.json"))
    return next((found for path in paths if (found := _of(path, sha256)) is not None), None)


def peers() -> dict[str, list[dict[str, Any]]]:
    """Published figures by protocol, each with its source and who measured it."""
    found: dict[str, list[dict[str, Any]]] = json.loads(PEERS.read_text())
    return found


def pictures_of(document: Json) -> str:
    """What a document's figures were measured on, in words: a copy of FER2013 that is not the
    official one, or a set of another kind, bears its own name."""
    name = str(document.get("data", ""))
    if document.get("caution"):
        return f"{name or 'pictures'}, not an official split"
    return SPLITS.get(document.get("split", ""), name)


def _model(folder: Path) -> Measured:
    name, sha256 = folder.name, _sha256(folder)
    heads, split = _evaluation(folder / "evaluation.json", name, {name: sha256})
    return Measured(
        name=name,
        card=_read(folder / "config.json") or {},
        heads=heads,
        split=split,
        faithfulness=faithfulness_of(sha256, folder.parent, name),
        outside=_of(folder / "outside.json", sha256),
        bench=_of(folder / "bench.json", sha256),
    )


def _together(folder: Path, paths: Sequence[Path]) -> Measured | None:
    """All models as one, where they were measured so."""
    members = {path.name: _sha256(path) for path in paths}
    joint = _read(folder / FILE)
    if joint is None or len(members) < 2:
        return None
    about = ("temperature", "uncertain_below", "calibration")
    try:
        if not is_of(joint, members.values()):
            return None
        card = {"architecture": " + ".join(members), "fer_demo": {key: joint[key] for key in about}}
    except (KeyError, TypeError, AttributeError):
        raise ValueError(f"{FILE} was not written by training.ensemble") from None
    heads, split = _evaluation(folder / "evaluation.json", ENSEMBLE, members)
    return Measured(ENSEMBLE, card, heads, split, members=len(members))


def _evaluation(path: Path, name: str, sha256: Mapping[str, str | None]) -> tuple[Json, str]:
    """The results of a model, and on what; ({}, "") where they are not of these weights.

    Args:
        name: of the model, or ENSEMBLE.
        sha256: of the weights that lie there, by model.
    """
    document = _read(path) or {}
    results, measured = document.get("results", {}), document.get("weights", {})
    if name not in results and len(results) == 1:
        name = next(iter(results))  # it was measured under a working name
    its = [measured.get(name)] if name in measured else list(measured.values())
    if name not in results or sorted(map(str, its)) != sorted(map(str, sha256.values())):
        return {}, ""
    split = pictures_of(document)
    tta = ", with the mirrored crop averaged in" if document.get("tta") else ""
    return results[name], split + tta


def _of(path: Path, sha256: str | None) -> Json | None:
    """A document that names the weights it was measured of, if these are they."""
    document = _read(path)
    return document if document is not None and document.get("sha256") == sha256 else None


def _sha256(folder: Path) -> str | None:
    manifest = _read(folder / "manifest.json") or {}
    found: str | None = manifest.get("files", {}).get("model.safetensors", {}).get("sha256")
    return found


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where there is no such file.

    Raises:
        ValueError: it is something else.
    """
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    if not isinstance(found, dict):
        raise ValueError(f"{path} is not a JSON object")
    return found
