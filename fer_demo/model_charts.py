"""The charts of the Models page, each with its finding as title and its numbers as a table. Pure.

Figures are shares in [0, 1] as the JSON holds them; people read percent. Marks are grey: colour is
kept for expressions and evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from fer_demo.charts import TEMPLATE

MARK, FAINT = "#708196", "rgba(112,129,150,0.45)"
"""Readable on the light page and on the dark one."""

MIN_ANSWERS = 20
"""Fewer answers than this are in the table and make no point of a curve."""

Json = Mapping[str, Any]
Row = dict[str, str | int | float]


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """A figure and the same numbers for who does not see it."""

    figure: go.Figure
    title: str
    """The finding."""
    table: list[Row]


def share(value: float, digits: int = 1) -> str:
    """0.8123 as "81.2 %", which no line breaks apart."""
    return f"{100 * value:.{digits}f}\N{NO-BREAK SPACE}%"


def chart_figure(
    traces: Sequence[go.Scatter | go.Heatmap], title: str, height: int, **layout: Any
) -> go.Figure:
    """A figure in the shared template, `height` px high; its finding is written above it."""
    return go.Figure(
        list(traces),
        layout={
            "template": TEMPLATE,
            # Long findings break into lines on a phone; the page writes them above the figure.
            "margin": {"l": 0, "r": 12, "t": 8, "b": 0},
            "height": height,
            "meta": {"finding": title},
            **layout,
        },
    )


def percent_axis(title: str, low: float = 0, high: float = 100) -> dict[str, Any]:
    """An axis in percent from `low` to `high`."""
    return {
        "title": {"text": title},
        "range": [low, high],
        "ticksuffix": " %",
        "automargin": True,
        "nticks": 6,
    }


def accuracy(ours: Mapping[str, Json], peers: Sequence[Json], split: str, head: str) -> Chart:
    """Our models among published figures, best first.

    Args:
        ours: results of one protocol by model.
        peers: entries of peers.json.
    """
    entries = [
        {
            "Model": f"{name} (this app)",
            "accuracy": result["accuracy"],
            "error": result["standard_error"],
            "Measured on": split,
            "Source": "evaluation.json",
        }
        for name, result in ours.items()
    ] + [
        {
            "Model": peer["name"],
            "accuracy": peer["accuracy"],
            "error": peer.get("spread", 0.0),
            "Measured on": f"{peer['split']}; {peer['note']}",
            "Source": peer["source"],
        }
        for peer in peers
    ]
    entries.sort(key=lambda entry: entry["accuracy"])
    best = max(ours.values(), key=lambda result: result["accuracy"])
    below = sum(peer["accuracy"] < best["accuracy"] for peer in peers)
    title = (
        f"{head}, {split}: {share(best['accuracy'])} ± {share(best['standard_error'])}, "
        f"above {below} of {len(peers)} published figures"
    )
    mine = [entry["Model"].endswith("(this app)") for entry in entries]
    points = go.Scatter(
        x=[100 * entry["accuracy"] for entry in entries],
        y=[entry["Model"] for entry in entries],
        error_x={
            "array": [100 * entry["error"] or None for entry in entries],
            "color": FAINT,
            "thickness": 2,
        },
        mode="markers+text",
        marker={
            "size": 13,
            "color": MARK,
            "symbol": ["circle" if own else "circle-open" for own in mine],
            "line": {"width": 2, "color": MARK},
        },
        text=[share(entry["accuracy"]) for entry in entries],
        textposition="top center",
        cliponaxis=False,
        customdata=[entry["Measured on"] for entry in entries],
        hovertemplate="%{y}: %{x:.1f} %<br>%{customdata}<extra></extra>",
    )
    low = 10 * np.floor(10 * min(entry["accuracy"] - entry["error"] for entry in entries) - 0.2)
    figure = chart_figure(
        [points],
        title,
        80 + 44 * len(entries),
        xaxis=percent_axis("Accuracy", float(max(0, low))),
        yaxis={"automargin": True, "ticksuffix": "  "},
    )
    table: list[Row] = [
        {
            "Model": entry["Model"],
            "Accuracy": share(entry["accuracy"]),
            "±": share(entry["error"]) if entry["error"] else "not stated",
            "Measured on": entry["Measured on"],
            "Source": entry["Source"],
        }
        for entry in reversed(entries)
    ]
    return Chart(figure, title, table)


def confusion(result: Json, *, counts: bool) -> Chart:
    """Rows are what people said, columns what the model said."""
    names = list(result["per_class"])
    matrix = np.array(result["confusion"], float)
    rates = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    wrong = rates.copy()
    np.fill_diagonal(wrong, -1)
    true, said = (int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))
    title = (
        f"Most often mistaken: {names[true]} for {names[said]}, "
        f"{share(rates[true, said], 0)} of the {names[true]} pictures"
    )
    shown = matrix if counts else 100 * rates
    sentences = [
        [
            f"Of {int(matrix[i].sum())} pictures that people called {a},<br>"
            f"{int(matrix[i, j])} ({share(rates[i, j], 0)}) were called {b}."
            for j, b in enumerate(names)
        ]
        for i, a in enumerate(names)
    ]
    cells = go.Heatmap(
        z=100 * rates,
        x=names,
        y=names,
        text=np.char.mod("%.0f", shown),
        texttemplate="%{text}",
        customdata=sentences,
        hovertemplate="%{customdata}<extra></extra>",
        # Half transparent: the theme's ink, dark or light, reads on every cell.
        colorscale=[[0, "rgba(112,129,150,0.06)"], [1, "rgba(112,129,150,0.62)"]],
        zmin=0,
        zmax=100,
        xgap=2,
        ygap=2,
        showscale=False,
    )
    figure = chart_figure(
        [cells],
        title,
        90 + 44 * len(names),
        xaxis={"title": {"text": "The model said"}, "tickangle": -40, "automargin": True},
        yaxis={
            "title": {"text": "People said"},
            "autorange": "reversed",
            "automargin": True,
            "ticksuffix": " ",
        },
    )
    table: list[Row] = [
        {"People said": a} | {b: f"{shown[i, j]:.0f}" for j, b in enumerate(names)}
        for i, a in enumerate(names)
    ]
    return Chart(figure, title, table)


def per_class(result: Json) -> list[Row]:
    """Precision, recall and F1 by class."""
    return [
        {
            "Expression": name,
            "Pictures": entry["n"],
            "Precision": share(entry["precision"]),
            "Recall": share(entry["recall"]),
            "F1": share(entry["f1"]),
        }
        for name, entry in result["per_class"].items()
    ]


def reliability(calibration: Json) -> Chart:
    """How often answers of each confidence are right, with the diagonal of a perfect match."""
    edges, answers = calibration["edges"], calibration["answers"]["all"]
    table: list[Row] = []
    x, y, error, spans = [], [], [], []
    for low, high, n, right in zip(
        edges[:-1], edges[1:], answers["n"], answers["right"], strict=True
    ):
        span = f"{100 * low:.0f} to {100 * high:.0f} %"
        if not n:
            continue
        p = right / n
        table.append({"Confidence": span, "Answers": n, "Right": right, "Share": share(p)})
        if n < MIN_ANSWERS:
            continue
        x.append(50 * (max(low, 1 / 7) + high))  # the largest of seven shares is a seventh or more
        y.append(100 * p)
        error.append(100 * (p * (1 - p) / n) ** 0.5)
        spans.append(f"{span}: right in {right} of {n}")
    before, after = calibration["ece_before"], calibration["ece"]
    low, high = calibration["ece_interval"]
    title = (
        f"Confidence is off by {share(after)} on average, before calibration {share(before)} "
        f"(a perfectly calibrated model would show {share(low)} to {share(high)})"
    )
    diagonal = go.Scatter(
        x=[0, 100], y=[0, 100], mode="lines", line={"color": FAINT, "dash": "dot"}, hoverinfo="skip"
    )
    points = go.Scatter(
        x=x,
        y=y,
        error_y={"array": error, "color": FAINT, "thickness": 2},
        mode="lines+markers",
        line={"color": MARK},
        marker={"size": 9, "color": MARK},
        customdata=spans,
        hovertemplate="Confidence %{customdata}<extra></extra>",
    )
    figure = chart_figure(
        [diagonal, points],
        title,
        340,
        xaxis=percent_axis("Confidence"),
        yaxis=percent_axis("Right"),
    )
    return Chart(figure, title, table)


def risk_coverage(result: Json) -> Chart:
    """Accuracy when only the surest answers are given."""
    curve = {int(p): a for p, a in result["risk_coverage"]["accuracy"].items()}
    at = sorted(curve)
    title = f"The surest half of the answers is right {share(curve[50])} of the time"
    line = go.Scatter(
        x=at,
        y=[100 * curve[p] for p in at],
        mode="lines+markers",
        line={"color": MARK},
        marker={"size": 9, "color": MARK},
        hovertemplate="Answering the surest %{x} %: right %{y:.1f} %<extra></extra>",
    )
    low = 10 * np.floor(10 * min(curve.values()) - 0.5)
    figure = chart_figure(
        [line],
        title,
        340,
        xaxis=percent_axis("Faces answered, the surest first", 0, 103),
        yaxis=percent_axis("Right", float(max(0, low)), 101),
    )
    table: list[Row] = [{"Answered": f"{p} %", "Right": share(curve[p])} for p in at]
    return Chart(figure, title, table)


def corruptions(result: Json) -> Chart:
    """Accuracy under each corruption at three levels, the worst at the top."""
    found, clean = result["corruptions"], result["accuracy"]
    names = sorted(found, key=lambda name: found[name][2], reverse=True)
    title = (
        f"Hardest: {names[-1]}, {share(found[names[-1]][2], 0)} at its strongest, "
        f"against {share(clean, 0)} on the clean pictures"
    )
    symbols, sizes = ("circle-open", "circle", "diamond"), (9, 10, 12)
    traces = [
        go.Scatter(
            x=[100 * found[name][level] for name in names],
            y=names,
            name=("slight", "medium", "strong")[level],
            mode="markers",
            marker={"symbol": symbols[level], "size": sizes[level], "color": MARK},
            hovertemplate="%{y}, %{fullData.name}: %{x:.1f} %<extra></extra>",
        )
        for level in range(3)
    ]
    figure = chart_figure(
        traces,
        title,
        150 + 34 * len(names),
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        margin={"l": 0, "r": 12, "t": 36, "b": 0},
        xaxis=percent_axis("Accuracy (dotted: clean pictures)"),
        yaxis={"automargin": True, "ticksuffix": "  "},
        shapes=[
            {
                "type": "line", "x0": 100 * clean, "x1": 100 * clean, "yref": "paper",
                "y0": 0, "y1": 1, "line": {"color": MARK, "dash": "dot"},
            }
        ],
    )  # fmt: skip
    table: list[Row] = [
        {"Corruption": name}
        | {
            word: share(value)
            for word, value in zip(("Slight", "Medium", "Strong"), found[name], strict=True)
        }
        for name in reversed(names)
    ]
    return Chart(figure, title, table)
