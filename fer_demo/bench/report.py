"""All figures of the benchmark, printed beside their bars and written as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from fer_demo.bench import app, heatmaps, peer, speed
from fer_demo.classifier import load_classifier
from fer_demo.errors import FerDemoError
from fer_demo.faces import load_detector
from fer_demo.settings import Settings
from fer_demo.weights import model_names, open_weights

BARS: tuple[tuple[str, str, float, float, bool], ...] = (
    ("live_fps_1", "640x480, one face, frames/s", 30, 60, True),
    ("live_fps_4", "640x480, four faces, frames/s", 20, 40, True),
    ("evidence_overhead", "evidence maps, over prediction alone", 0.05, 0.02, False),
    ("engine_ratio", "one face, over the fastest bare engine", 1.15, 1.05, False),
    ("photo_vs_fer", "1280x720 photo, times faster than fer", 4, 8, True),
    ("heat_maps_s", "four faces, every heat map, s", 5, 2, False),
    # The page asks cameras for 15 frames/s.
    ("two_streams_fps", "two streams at once through WebRTC, frames/s", 12, 15, True),
    ("two_streams_p95_ms", "two streams at once, p95 frame age, ms", 250, 150, False),
    ("first_prediction_s", "first prediction after start, s", 10, 5, False),
    ("peak_memory_gb", "peak memory with one stream, GB", 1.3, 1.0, False),
)
"""Name, words, bar, aim, and whether more is better."""


def run(given: argparse.Namespace) -> int:
    """Measure, print, write; the exit status is 0 whatever the figures are."""
    settings = Settings.from_environment()
    if given.json and (given.json.is_dir() or not given.json.parent.is_dir()):
        # Told now, not after minutes.
        raise FerDemoError(f"--json {given.json}: there is no such place for a file.")
    names = model_names(settings)
    default = "efficientnet_b0" if "efficientnet_b0" in names else names[0]
    figures = measure(given.model or default, settings)
    print(as_text(figures))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def measure(model: str, settings: Settings) -> dict[str, Any]:
    """Every figure by name; None where it could not be had here."""
    weights = open_weights(model, settings)
    classifier = load_classifier(weights, settings)
    detector = load_detector(settings)
    if detector.notice:
        print(detector.notice, file=sys.stderr)
    one = speed.live(detector, classifier, 1)
    four = speed.live(detector, classifier, 4)
    engines = speed.engines(weights, classifier, settings)
    photo = peer.compare(detector, classifier)
    maps = heatmaps.measure(weights, classifier, detector)
    figures: dict[str, Any] = {
        "model": model,
        "sha256": weights.card.sha256,
        "detector": detector.name,
        "threads": settings.threads,
        "live_fps_1": one["fps"],
        "live_fps_4": four["fps"],
        "evidence_overhead": engines.pop("evidence_overhead"),
        "engine_ratio": engines.pop("engine_ratio"),
        "photo_vs_fer": photo["photo_vs_fer"],
        "heat_maps_s": maps["total"],
        **app.measure(model),
        "stages_ms": {"one face": _stages(one), "four faces": _stages(four)},
        "faces_found": {"one face": one["found"], "four faces": four["found"]},
        "heat_maps": maps,
        "engines": engines,
        "photo": {k: v for k, v in photo.items() if k != "photo_vs_fer"},
        "floor": speed.floor(weights, settings.threads),
    }
    return _rounded(figures)


def _stages(figures: Mapping[str, float]) -> dict[str, float]:
    return {name.removesuffix("_ms"): ms for name, ms in figures.items() if name.endswith("_ms")}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, float):
        return round(value, 4) if value == value else None
    return value


def as_text(figures: Mapping[str, Any]) -> str:
    """A table for people: each figure, its bar and its aim, then where the time goes."""
    head = f"model {figures['model']}, detector {figures['detector']}, {figures['threads']} threads"
    lines = [head, "", f"{'':44}{'measured':>10}{'bar':>8}{'aim':>8}"]
    for name, words, bar, aim, more in BARS:
        value = figures[name]
        if value is None:
            lines.append(f"{words:44}{'-':>10}{bar:>8g}{aim:>8g}")
            continue
        good = value >= bar if more else value <= bar
        lines.append(f"{words:44}{value:>10.3g}{bar:>8g}{aim:>8g}  {'' if good else 'missed'}")
    lines.append("\nmilliseconds a frame")
    for faces, stages in figures["stages_ms"].items():
        parts = ", ".join(f"{name} {ms:.1f}" for name, ms in stages.items())
        found = figures["faces_found"][faces]
        lines.append(f"  {faces}: {parts} (all found in {100 * found:.0f} % of frames)")
    engines = ", ".join(f"{n.removesuffix('_ms')} {ms:.1f}" for n, ms in figures["engines"].items())
    floor = figures["floor"]
    lines += [
        f"  one face by engine: {engines}",
        f"  arithmetic floor {floor['floor_ms']:.1f}: {floor['network_gflop']:.2f} GFLOP at "
        f"{floor['matmul_gflops']:.0f} GFLOP/s of a matrix product",
    ]
    photo = figures["photo"]
    lines.append(
        f"\n1280x720 photo {photo['photo_ms']:.0f} ms; crowd recall {photo['crowd_recall']:.2f}"
    )
    if photo["fer_photo_ms"] is not None:
        lines[-1] += f"; fer {photo['fer_photo_ms']:.0f} ms, {photo['fer_crowd_recall']:.2f}"
    if figures["webrtc_fps"] is not None:
        lines.append(f"one stream through WebRTC: {figures['webrtc_fps']:.1f} frames/s of 15 sent")
    return "\n".join(lines)
