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

OUT = Path(__file__).with_name("accuracy-latency.png")


def main() -> None:
    """The command line."""
    models = [m for m in bundled() if "fer2013" in m.heads]
    benches = {m.name: m.bench for m in models if m.bench}
    models = [m for m in models if m.name in benches]
    if not models:
        raise SystemExit("No model has both evaluation.json and bench.json.")
    mpl.use("Agg")
    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    slowest = 0.0
    for model in models:
        ms = benches[model.name]["photo"]["photo_ms"]
        _point(axes, model.name, ms, 100 * model.heads["fer2013"]["accuracy"], own=True)
        slowest = max(slowest, ms)
    lines: list[tuple[float, str]] = []
    for peer in peers()["fer2013"]:
        found = [bench["photo"].get(peer.get("bench")) for bench in benches.values()]
        timed = [ms for ms in found if ms is not None]
        if timed:
            _point(axes, peer["name"], min(timed), 100 * peer["accuracy"], own=False)
            slowest = max(slowest, *timed)
        else:
            lines.append((100 * peer["accuracy"], f"{peer['name']} ({peer['source']})"))
    for place, (accuracy, words) in enumerate(sorted(lines)):
        _line(axes, accuracy, words, right=place % 2 == 0)  # neighbours may be near
    axes.set(
        xlim=(0, 1.3 * slowest),
        xlabel="Milliseconds for a photo of 1280 x 720 px on "
        f"{benches[models[0].name]['threads']} processor threads",
        ylabel="Accuracy on FER2013's labels, %",
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(
        f"Filled: this project, {models[0].split}. Open: timed in the same run. "
        "Lines: not timed. Others are on PrivateTest.",
        fontsize=9, loc="left", pad=14,
    )  # fmt: skip
    figure.savefig(OUT, dpi=120)


def _point(axes: plt.Axes, name: str, ms: float, accuracy: float, *, own: bool) -> None:
    axes.plot(ms, accuracy, "o", color="#3b6ea5", fillstyle="full" if own else "none", ms=8)
    axes.annotate(name, (ms, accuracy), (8, 4), textcoords="offset points", fontsize=9)


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
