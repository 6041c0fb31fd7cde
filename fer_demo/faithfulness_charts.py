"""The charts of how honest the heat maps are, from what `training.explain` wrote. Pure."""

from __future__ import annotations

import plotly.graph_objects as go

from fer_demo.model_charts import FAINT, LEGEND_ABOVE, MARK, Chart, Json, Row, chart_figure

METHOD_NAMES = {
    "influence": "Influence",
    "evidence": "Evidence",
    "grad_cam": "Plain Grad-CAM",
    "layer_cam": "LayerCAM",
    "occlusion": "Occlusion",
    "face_prior": "Face prior",
    "random": "Random",
}
MEASURE_NAMES = {"deletion": "deletion", "insertion": "insertion", "road": "ROAD"}


REFERENCE_WORDS = {
    "grad_cam": "plain Grad-CAM",
    "face_prior": "the face prior",
    "random": "random maps",
}

CHANGES_BELOW = 0.3
"""Rank correlation with the maps of random weights below which a map depends on the weights."""


def clauses(document: Json, method: str) -> str:
    """What the intervals allow to say of a method: better than, no better than, worse than."""
    better, not_better, worse = [], [], []
    for reference, figures in document["gains"][method].items():
        won = [MEASURE_NAMES[m] for m, gain in figures.items() if gain["low"] > 0]
        lost = [MEASURE_NAMES[m] for m, gain in figures.items() if gain["high"] < 0]
        name = REFERENCE_WORDS[reference]
        if lost:
            worse.append(f"{name} on {' and '.join(lost)}")
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
    if worse:
        parts.append(f"worse than {' and '.join(worse)}")
    return "; ".join(parts)


def verdict(document: Json, method: str) -> str:
    """The finding about a method."""
    return f"{METHOD_NAMES[method]} is {clauses(document, method)}"


def worth(document: Json, method: str) -> str | None:
    """How far a map of this method may be trusted, in one or two sentences; None if not measured.

    Args:
        document: what `training.explain` wrote.
    """
    if method not in document["gains"]:
        return None
    said = f"On {document['images']} test pictures it was {clauses(document, method)}."
    if depends_on_weights(document, method) is False:
        last = document["randomisation"][method][-1]
        said += (
            " It changes too little when the network's weights are made random (rank correlation "
            f"{last['mean']:.2f}), so trust it less."
        )
    return said


def depends_on_weights(document: Json, method: str) -> bool | None:
    """Whether random weights change the map, by the interval's upper end; None if not measured."""
    stages = document["randomisation"].get(method)
    return stages[-1]["high"] < CHANGES_BELOW if stages else None


def faithfulness(document: Json, method: str) -> Chart:
    """Gain of a method's map over each reference, with intervals; above zero is better.

    The table holds every method and reference.
    """
    title = verdict(document, method)
    rows = [
        (f"{METHOD_NAMES[reference]}, {MEASURE_NAMES[measure]}", gain)
        for reference, figures in document["gains"][method].items()
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
            "rangemode": "tozero",
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
    """Rank correlation of maps with those of ever more random weights, by method."""
    found = document["randomisation"]
    words = []
    for method, stages in found.items():
        last = stages[-1]
        words.append(f"{METHOD_NAMES[method]} {last['mean']:.2f}".replace("-", "\N{MINUS SIGN}"))
    changing = [METHOD_NAMES[name] for name in found if depends_on_weights(document, name)]
    title = (
        f"With random weights {' and '.join(changing)} become another map"
        if changing
        else "With random weights no map changes enough"
    )
    title += f": rank correlation {', '.join(words)}"
    symbols, dashes = ("circle", "circle-open", "diamond-open"), ("solid", "dash", "dot")
    traces = [
        go.Scatter(
            x=["trained", *(f"to {entry['stage']}" for entry in stages)],
            y=[1.0, *(entry["mean"] for entry in stages)],
            error_y={
                "symmetric": False,
                "array": [0.0, *(entry["high"] - entry["mean"] for entry in stages)],
                "arrayminus": [0.0, *(entry["mean"] - entry["low"] for entry in stages)],
                "color": FAINT,
            },
            name=METHOD_NAMES[method],
            mode="lines+markers",
            line={"color": MARK, "dash": dashes[i % 3]},
            marker={"size": 9, "color": MARK, "symbol": symbols[i % 3]},
            hovertemplate="%{fullData.name}, random %{x}: %{y:.2f}<extra></extra>",
        )
        for i, (method, stages) in enumerate(found.items())
    ]
    figure = chart_figure(
        traces,
        title,
        340,
        **LEGEND_ABOVE,
        xaxis={"title": {"text": "Random weights, from the last layer down"}, "automargin": True},
        yaxis={"title": {"text": "Rank correlation"}, "range": [-0.4, 1.05], "automargin": True},
        shapes=[
            {
                "type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": CHANGES_BELOW,
                "y1": CHANGES_BELOW, "line": {"color": FAINT, "dash": "dot"},
            }
        ],
    )  # fmt: skip
    table: list[Row] = [
        {
            "Heat map": METHOD_NAMES[method],
            "Random down to": entry["stage"],
            "Rank correlation": f"{entry['mean']:.3f}",
            "95 % interval": f"{entry['low']:.3f} to {entry['high']:.3f}",
        }
        for method, stages in found.items()
        for entry in stages
    ]
    return Chart(figure, title, table)
