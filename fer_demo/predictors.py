"""All that can answer for a photo, by name: each model, and all of them together."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from fer_demo import weights
from fer_demo.classifier import Classifier, Predictor
from fer_demo.ensemble import ENSEMBLE, ensemble_of, read_joint
from fer_demo.errors import ModelUnavailable
from fer_demo.settings import Settings
from fer_demo.weights import model_names


def predictor_names(settings: Settings) -> tuple[str, ...]:
    """Everything that can answer, the default first: `model_names`, and ENSEMBLE if two or more.

    The ensemble is the default where it was measured to be the best of the bundled weights.

    Raises:
        ModelUnavailable: there is no model.
    """
    names = model_names(settings)
    if len(names) < 2:
        return names
    return (ENSEMBLE, *names) if _is_best(names, settings) else (*names, ENSEMBLE)


def member_names(name: str, settings: Settings) -> tuple[str, ...]:
    """The models that answer under a name of `predictor_names`."""
    return model_names(settings) if name == ENSEMBLE else (name,)


def load_predictor(name: str, settings: Settings, load: Callable[[str], Classifier]) -> Predictor:
    """What answers under a name.

    Args:
        name: one of `predictor_names(settings)`.
        load: loads one model.

    Raises:
        ModelUnavailable: a model cannot be had.
    """
    if name != ENSEMBLE:
        return load(name)
    return ensemble_of([load(member) for member in member_names(name, settings)])


def _is_best(names: Sequence[str], settings: Settings) -> bool:
    """By the bundled files alone: what the Hub holds is not known before it is fetched."""
    if settings.hub_repos:
        return False
    sha256 = []
    try:
        for name in names:
            manifest = json.loads((weights.BUNDLED / name / "manifest.json").read_bytes())
            sha256.append(manifest["files"]["model.safetensors"]["sha256"])
        return read_joint(sha256, [0.0]).best
    except (ModelUnavailable, OSError, ValueError, KeyError, TypeError):
        return False  # loading it will say what is wrong
