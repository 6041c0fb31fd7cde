"""The charts of how honest the heat maps are, from what `training.explain` wrote. Pure."""

from __future__ import annotations

import plotly.graph_objects as go

from fer_demo.model_charts import FAINT, MARK, Chart, Json, Row, chart_figure

METHOD_NAMES = {
    "evidence": "Evidence (this app)",
    "grad_cam": "Plain Grad-CAM",
    "layer_cam": "LayerCAM",
    "occlusion": "Occlusion",
    "face_prior": "Face prior",
    "random": "Random",
}
MEASURE_NAMES = {"deletion": "deletion", "insertion": "insertion", "road": "ROAD"}


def verdict(document: Json) -> str:
    """What the intervals allow to say of the map that the app shows: "better" or "no better"."""
    better, not_better = [], []
    for reference, figures in document["gains"][document["default"]].items():
        won = [MEASURE_NAMES[m] for m, gain in figures.items() if gain["low"] > 0]
        name = METHOD_NAMES[reference].lower().replace("cam", "CAM").replace("grad", "Grad")
        if len(won) == len(figures):
            better.append(name)
        elif won:
            not_better.append(f"{name} except on {' and '.join(won)}")
        else:
            not_better.append(name)
    parts = []
    if better:
        parts.append(f"better than {' and '.join(better)} on every measure")
    if not_better:
        parts.append(f"no better than {' nor '.join(not_better)}")
    return "The evidence map is " + "; ".join(parts)


def faithfulness(document: Json) -> Chart:
    """Gain of the app's map over each reference, with intervals; above zero is better."""
    title = verdict(document)
    rows = [
        (f"{METHOD_NAMES[reference]}, {MEASURE_NAMES[measure]}", gain)
        for reference, figures in document["gains"][document["default"]].items()
        for measure, gain in figures.items()
    ][::-1]
    points = go.Scatter(
        x=[100 * gain["mean"] for _, gain in rows],
        y=[name for name, _ in rows],
        error_x={
            "symmetric": False,
            "array": [100 * (gain["high"] - gain["mean"]) for _, gain in rows],
            "arrayminus": [100 * (gain["mean"] - gain["low"]) for _, gain in rows],
            "color": FAINT,
            "thickness": 3,
        },
        mode="markers",
        marker={
            "size": 10,
            "color": MARK,
            "symbol": ["circle" if gain["low"] > 0 else "circle-open" for _, gain in rows],
        },
        hovertemplate="Against %{y}: %{x:+.2f} points<extra></extra>",
    )
    figure = chart_figure(
        [points],
        title,
        90 + 34 * len(rows),
        xaxis={
            "title": {"text": "Gain, points (right is better)"},
            "zeroline": True,
            "zerolinecolor": MARK,
        },
        yaxis={"automargin": True, "ticksuffix": "  "},
    )
    table: list[Row] = [
        {
            "Method": METHOD_NAMES[name],
            "Deletion (lower is better)": f"{figures['deletion']['mean']:.3f}",
            "Insertion (higher)": f"{figures['insertion']['mean']:.3f}",
            "ROAD (higher)": f"{figures['road']['mean']:.3f}",
            "Grid": " x ".join(str(side) for side in figures["grid"]),
            "Time a face": f"{1000 * figures['seconds_a_face']:.0f} ms",
        }
        for name, figures in document["methods"].items()
    ]
    return Chart(figure, title, table)


def randomisation(document: Json) -> Chart:
    """Rank correlation of maps with those of ever more random weights."""
    stages = document["randomisation"][document["default"]]
    last = stages[-1]
    word = "changes" if last["high"] < 0.3 else "does not change enough"
    title = (
        f"With random weights the map {word}: rank correlation {last['mean']:.2f} "
        f"[{last['low']:.2f}, {last['high']:.2f}]"
    )
    names = ["trained", *(f"to {entry['stage']}" for entry in stages)]
    values = [1.0, *(entry["mean"] for entry in stages)]
    line = go.Scatter(
        x=names,
        y=values,
        error_y={
            "symmetric": False,
            "array": [0.0, *(entry["high"] - entry["mean"] for entry in stages)],
            "arrayminus": [0.0, *(entry["mean"] - entry["low"] for entry in stages)],
            "color": FAINT,
        },
        mode="lines+markers",
        line={"color": MARK},
        marker={"size": 9, "color": MARK},
        hovertemplate="Random %{x}: %{y:.2f}<extra></extra>",
    )
    figure = chart_figure(
        [line],
        title,
        320,
        xaxis={"title": {"text": "Random weights, from the last layer down"}, "automargin": True},
        yaxis={"title": {"text": "Rank correlation"}, "range": [-0.4, 1.05], "automargin": True},
    )
    table: list[Row] = [
        {
            "Random down to": entry["stage"],
            "Rank correlation": f"{entry['mean']:.3f}",
            "95 % interval": f"{entry['low']:.3f} to {entry['high']:.3f}",
        }
        for entry in stages
    ]
    return Chart(figure, title, table)
