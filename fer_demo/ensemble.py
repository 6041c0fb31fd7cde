"""Several models together: the mean of their calibrated probabilities.

The logits are the log of that mean, over a temperature of their own. Evidence maps are brought to
the finest grid and averaged, an "average of models": it shows where the models look, but its mean
plus a constant is not the logit, as it is for one model.

`ensemble.json` beside the weights folders holds temperature and threshold. It counts for the
members that it was measured on, by the sha256 of their weights, wherever these come from.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from fer_demo import weights
from fer_demo.answers import Answers
from fer_demo.classifier import Classifier, softmax
from fer_demo.errors import ModelUnavailable
from fer_demo.types import PROTOCOLS, SHOWN_PROTOCOL, Crops, Predictions

ENSEMBLE = "ensemble"
"""Name of all models together; `model_names` holds those of the single ones."""

EVIDENCE_NAME = "average of models"

FILE = "ensemble.json"

Maps = NDArray[np.float32]


def together(logits: Sequence[NDArray[Any]], temperature: float = 1.0) -> NDArray[np.float32]:
    """Logits of several models together: the log of their mean probability, over a temperature.

    Args:
        logits: (N, K) of each model, of one head, calibrated.
    """
    each = np.stack([log_softmax(one.astype(np.float64), axis=1) for one in logits])
    mean = logsumexp(each, axis=0) - np.log(len(each))
    return np.asarray(mean / temperature, np.float32)


def average_evidence(maps: Sequence[Maps]) -> Maps:
    """The mean of several models' maps (N, K, h, w), each brought to the finest grid of them."""
    height, width = (max(one.shape[axis] for one in maps) for axis in (2, 3))
    if not len(maps[0]):
        return np.zeros((*maps[0].shape[:2], height, width), np.float32)
    # Bilinear, as the maps are drawn: no value lies outside the range that was computed.
    fine = [
        F.interpolate(torch.from_numpy(one), (height, width), mode="bilinear", align_corners=False)
        for one in maps
    ]
    return np.asarray(torch.stack(fine).mean(dim=0).numpy(), np.float32)


@dataclass(frozen=True, slots=True)
class Joint:
    """What was measured of several models together."""

    temperature: Mapping[str, float]
    """By head, of the log of the mean probability; 1 where it was not measured."""
    uncertain_below: float
    best: bool
    """Whether no member alone named more of PublicTest's unseen pictures rightly."""
    calibration: Mapping[str, Any]
    """How often their answers were right, as in a model's card; empty where it was not measured."""


UNMEASURED = dict.fromkeys(PROTOCOLS, 1.0)


def read_joint(
    sha256: Sequence[str], uncertain_below: Sequence[float], folder: Path | None = None
) -> Joint:
    """What `ensemble.json` says of members with these weights; where nothing, the safe guess.

    Args:
        sha256, uncertain_below: of each member.
        folder: where the file lies; that of the bundled weights where None.

    Raises:
        ModelUnavailable: the file cannot be read.
    """
    path = (folder or weights.BUNDLED) / FILE
    unmeasured = Joint(UNMEASURED, max(uncertain_below), best=False, calibration={})
    try:
        document = json.loads(path.read_bytes())
        if not is_of(document, sha256):
            return unmeasured
        accuracy = document["accuracy"]
        joint = Joint(
            temperature={head: float(document["temperature"][head]) for head in UNMEASURED},
            uncertain_below=float(document["uncertain_below"]),
            best=accuracy[ENSEMBLE] >= max(accuracy.values()),
            calibration=dict(document["calibration"][SHOWN_PROTOCOL]),
        )
        Answers.read(joint.calibration, joint.uncertain_below)  # whether it can be read
        return joint
    except FileNotFoundError:
        return unmeasured
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnavailable(
            f"{FILE} was not written by training.ensemble ({error!r}). Delete it, or write it anew."
        ) from None


def is_of(document: Mapping[str, Any], sha256: Collection[str | None]) -> bool:
    """Whether a document of `training.ensemble` was measured of members with these weights."""
    return sorted(document["members"].values()) == sorted(map(str, sha256))


class Ensemble:
    """Several classifiers that answer as one."""

    name = ENSEMBLE

    def __init__(self, members: Sequence[Classifier], joint: Joint):
        self.members = tuple(members)
        self.uncertain_below = joint.uncertain_below
        self.calibration = joint.calibration
        self._temperature = joint.temperature[SHOWN_PROTOCOL]

    def predict(self, crops: Crops) -> Predictions:
        """See `Predictor.predict`."""
        return self.combine([member.predict(crops) for member in self.members])

    def combine(self, each: Sequence[Predictions]) -> Predictions:
        """The members' answers for the same crops as one."""
        logits = together([one.logits for one in each], self._temperature)
        evidence = average_evidence([one.evidence for one in each])
        return Predictions(logits, softmax(logits), evidence)


def ensemble_of(members: Sequence[Classifier]) -> Ensemble:
    """These models as one, with what was measured of them together.

    Raises:
        ModelUnavailable: `ensemble.json` cannot be read.
    """
    cards = [member.card for member in members]
    joint = read_joint([card.sha256 for card in cards], [card.uncertain_below for card in cards])
    return Ensemble(members, joint)
