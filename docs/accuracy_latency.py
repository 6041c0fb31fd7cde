"""Make the README's figure of accuracy against latency from the figures beside the weights.

python -m docs.accuracy_latency

Latency is what `python -m fer_demo bench --json` measured, accuracy what `training.evaluate --json`
wrote. Peers stand in `fer_demo/peers.json` with their sources; one that the benchmark did not time
is a line without a latency.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from fer_demo.measured import bundled, peers
from fer_demo.model_charts import Timed, timed

OUT = Path(__file__).with_name("accuracy-latency.png")


def main() -> None:
    """The command line."""
    models = [m for m in bundled() if "fer2013" in m.heads and m.bench]
    if not models:
        raise SystemExit("No model has both evaluation.json and bench.json.")
    published = peers()["fer2013"]
    ours = {m.name: (m.bench, m.heads["fer2013"]["accuracy"]) for m in models if m.bench}
    points = timed(ours, published)
    mpl.use("Agg")
    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    for place, one in enumerate(points):
        _point(axes, one, right=place % 2 == 1)  # neighbours may be near
    drawn = {one.name for one in points}
    lines = [
        (100 * peer["accuracy"], f"{peer['name']} ({peer['source']})")
        for peer in published
        if peer["name"] not in drawn
    ]
    for place, (accuracy, words) in enumerate(sorted(lines)):
        _line(axes, accuracy, words, right=place % 2 == 0)  # neighbours may be near
    axes.set(
        xlim=(0, 1.3 * points[-1].ms),
        xlabel="Milliseconds for a photo of 1280 x 720 px on "
        f"{next(iter(ours.values()))[0]['threads']} processor threads",
        ylabel="Accuracy on FER2013's labels, %",
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(
        f"Filled: this project. Open: timed by the same command. Both on {models[0].split}.\n"
        "Lines: published, mostly of PrivateTest, not timed.",
        fontsize=9, loc="left", pad=14,
    )  # fmt: skip
    figure.savefig(OUT, dpi=120)


def _point(axes: plt.Axes, one: Timed, *, right: bool) -> None:
    fill = "none" if one.face_ms is None else "full"
    place = (one.ms, 100 * one.accuracy)
    axes.plot(*place, "o", color="#3b6ea5", fillstyle=fill, ms=8)
    axes.annotate(
        one.name,
        place,
        (8 if right else -8, 5),
        textcoords="offset points",
        ha="left" if right else "right",
        fontsize=9,
    )


def _line(axes: plt.Axes, accuracy: float, words: str, *, right: bool) -> None:
    axes.axhline(accuracy, color="0.75", linewidth=1, zorder=0)
    axes.annotate(
        words,
        (float(right), accuracy),
        (-4 if right else 4, 2),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right" if right else "left",
        fontsize=8,
        color="0.4",
    )


if __name__ == "__main__":
    main()
