"""What training writes beside a model's weights, by its own functions, of made-up logits."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np

from fer_demo.types import EXPRESSIONS, FERPLUS_EXPRESSIONS
from training.calibrate import confidence_table, head_calibration, held_out_threshold
from training.corruptions import CORRUPTIONS
from training.explain import REFERENCES, SIGNS, gains, interval
from training.metrics import cross_fitted, folds_of, head_report, softmax
from training.pose import accuracy_by_pose
from training.small_faces import by_width

N = 800

WIDTHS = tuple(by_width(np.zeros((0, 48, 48), np.uint8)))

SHA256 = "0" * 64
"""Of the weights that are not there."""


def write_measurements(
    folder: Path, parts: tuple[str, ...] = ("evaluation", "faithfulness", "outside", "bench")
) -> None:
    """config.json with a calibration, and the JSON files named in `parts`; no weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(_config()))
    manifest = {"files": {"model.safetensors": {"sha256": SHA256, "size": 1}}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    if "evaluation" in parts:
        document = {
            "split": "public_test", "tta": False, "weights": {folder.name: SHA256},
            "results": {folder.name: _heads()},
        }  # fmt: skip
        (folder / "evaluation.json").write_text(json.dumps(document))
    if "faithfulness" in parts:
        (folder / "faithfulness.json").write_text(json.dumps(_faithfulness()))
    if "outside" in parts:
        kind = {"n": 50, "found": 0.9, "answered": 0.5, "warned": 0.1, "unwarned": 0.45}
        kind["right"] = 0.36
        kinds = {
            "photographs": kind,
            "upside down": kind | {"answered": 0.2, "unwarned": 0.02, "right": None},
        }
        (folder / "outside.json").write_text(json.dumps({"sha256": SHA256, "kinds": kinds}))
    if "bench" in parts:
        bench = {
            "model": folder.name, "sha256": SHA256, "threads": 2, "engines": {"ours_ms": 6.1},
            "photo": {"photo_ms": 90.0, "fer_photo_ms": 700.0},
        }  # fmt: skip
        (folder / "bench.json").write_text(json.dumps(bench))


def write_measurements_of_two(folder: Path) -> None:
    """Models a and b, and the two as one."""
    for name in ("a", "b"):
        write_measurements(folder / name)
    single = json.loads((folder / "a/evaluation.json").read_text())
    calibration = json.loads((folder / "a/config.json").read_text())["fer_demo"]
    joint = {
        "members": {"a": SHA256, "b": SHA256}, "temperature": calibration["temperature"],
        "uncertain_below": 0.5, "calibration": calibration["calibration"],
    }  # fmt: skip
    (folder / "ensemble.json").write_text(json.dumps(joint))
    single["weights"] = {"a": SHA256, "b": SHA256}
    single["results"] = {"ensemble": single["results"]["a"]}
    (folder / "evaluation.json").write_text(json.dumps(single))


# What follows takes seconds, and is the same for every folder.


def _logits() -> tuple[np.ndarray, np.ndarray]:
    """(N, 7) and the labels (N,)."""
    label = np.arange(N) % 7
    logits = np.random.default_rng(0).normal(0, 1, (N, 7)).astype(np.float32)
    logits[np.arange(N), label] += 2.5
    return logits, label


@cache
def _config() -> dict:
    logits, label = _logits()
    fold = folds_of(np.arange(N))
    held = softmax(cross_fitted(logits, label, fold))
    right = held.argmax(1) == label
    calibration = head_calibration(logits, label, fold) | {
        "target_accuracy": 0.95,
        "at_threshold": held_out_threshold(held.max(1), right, fold, 0.95),
    }
    return {
        "architecture": "resnet18",
        "pretrained_cfg": {"input_size": [1, 96, 96], "license": "research use"},
        "fer_demo": {
            "temperature": {"fer2013": 1.2, "ferplus8": 0.8, "ferplus7": 0.8},
            "uncertain_below": 0.52,
            "recipe": {"epochs_done": 3},
            "calibration": {"ferplus7": calibration | confidence_table(held, label)},
        },
    }


@cache
def _heads() -> dict:
    logits, label = _logits()
    eighth = np.random.default_rng(1).normal(0, 1, (N, 1)).astype(np.float32)
    eight = np.concatenate([logits, eighth], axis=1)
    seven = head_report(logits, label, EXPRESSIONS, np.arange(N))
    right = logits.argmax(1) == label
    spoiled = {
        kind: [0.8 - 0.02 * i, 0.7 - 0.03 * i, 0.6 - 0.05 * i] for i, kind in enumerate(CORRUPTIONS)
    }
    return {
        "fer2013": seven,
        "ferplus8": head_report(eight, label, FERPLUS_EXPRESSIONS, np.arange(N)),
        "ferplus7": seven
        | {
            "corruptions": spoiled,
            "small_faces": {
                width: {"n": N, "accuracy": 0.85 - 0.03 * i} for i, width in enumerate(WIDTHS)
            },
            "pose": accuracy_by_pose(*np.random.default_rng(2).uniform(0, 0.5, (2, N)), right),
        },
    }


@cache
def _faithfulness() -> dict:
    generator = np.random.default_rng(2)
    better = {
        "influence": 0.15,
        "evidence": 0.1,
        "layer_cam": 0.08,
        "occlusion": 0.12,
        "grad_cam": 0.1,
    }
    measured = {
        name: {
            measure: generator.normal(0.4 + sign * better.get(name, 0.0), 0.05, 100)
            for measure, sign in SIGNS.items()
        }
        for name in ("influence", "evidence", "layer_cam", "occlusion", *REFERENCES)
    }
    return {
        "sha256": SHA256,
        "split": "public_test",
        "images": 100,
        "methods": {
            name: {measure: interval(values) for measure, values in figures.items()}
            | {"grid": [6, 6], "seconds_a_face": 0.01}
            for name, figures in measured.items()
        },
        "gains": {name: gains(measured, name) for name in measured if name not in REFERENCES},
        "randomisation": {
            method: [
                {"stage": stage} | interval(generator.normal(mean + kept, 0.2, 100))
                for stage, mean in (("fc", 0.4), ("layer4", 0.2), ("conv1", 0.05))
            ]
            for method, kept in (("influence", 0.0), ("evidence", 0.05), ("layer_cam", 0.45))
        },
    }
