"""The charts of how good the models are, and what all charts of the Models page share. Pure.

Each chart has its finding as title and its numbers as a table. Figures are shares in [0, 1] as the
JSON holds them; people read percent. Marks are grey: colour is kept for expressions and evidence.
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


EDGE = 20
"""Right of a plot, px: half of "100 %", which plotly leaves out where it does not fit."""

LEGEND_ABOVE: dict[str, Any] = {
    "showlegend": True,
    "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    "margin": {"l": 0, "r": EDGE, "t": 36, "b": 0},
}
"""For `chart_figure`: a legend in a row of its own above the plot."""


def chart_figure(
    traces: Sequence[go.Scatter | go.Heatmap], title: str, height: int, **layout: Any
) -> go.Figure:
    """A figure in the shared template, `height` px high; its finding is written above it."""
    return go.Figure(
        list(traces),
        layout={
            "template": TEMPLATE,
            # Long findings break into lines on a phone; the page writes them above the figure.
            "margin": {"l": 0, "r": EDGE, "t": 8, "b": 0},
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


def begin_below(lowest: float) -> float:
    """Where an axis of dots, which need no zero, begins: whole tens of percent below a share."""
    return float(max(0, 10 * np.floor(10 * lowest - 0.2)))


def accuracy(ours: Mapping[str, tuple[Json, str]], peers: Sequence[Json], head: str) -> Chart:
    """Our models among published figures, best first.

    Args:
        ours: by model, the result of one protocol and the split that it was measured on.
        peers: entries of peers.json.
    """
    entries = [
        {
            "Model": f"{name} (this app)",
            "accuracy": result["accuracy"],
            "error": result["standard_error"],
            "Measured on": split,
            "By": "this project",
            "Source": "evaluation.json",
        }
        for name, (result, split) in ours.items()
    ] + [
        {
            "Model": peer["name"],
            "accuracy": peer["accuracy"],
            "error": peer.get("spread", 0.0),
            "Measured on": f"{peer['split']}; {peer['note']}",
            "By": peer["measured_by"],
            "Source": peer["source"],
        }
        for peer in peers
    ]
    entries.sort(key=lambda entry: entry["accuracy"])
    best, split = max(ours.values(), key=lambda one: one[0]["accuracy"])
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
        customdata=[f"{entry['Measured on']}<br>by {entry['By']}" for entry in entries],
        hovertemplate="%{y}: %{x:.1f} %<br>%{customdata}<extra></extra>",
    )
    low = begin_below(min(entry["accuracy"] - entry["error"] for entry in entries))
    figure = chart_figure(
        [points],
        title,
        80 + 44 * len(entries),
        xaxis=percent_axis("Accuracy", low),
        yaxis={"automargin": True, "ticksuffix": "  "},
    )
    table: list[Row] = [
        {
            "Model": entry["Model"],
            "Accuracy": share(entry["accuracy"]),
            "±": share(entry["error"]) if entry["error"] else "not stated",
            "Measured on": entry["Measured on"],
            "By": entry["By"],
            "Source": entry["Source"],
        }
        for entry in reversed(entries)
    ]
    return Chart(figure, title, table)


@dataclass(frozen=True, slots=True)
class Timed:
    """A model or a peer that `python -m fer_demo bench` timed."""

    name: str
    ms: float
    """Of a photo of 1280 x 720 px."""
    accuracy: float
    """On FER2013's labels."""
    face_ms: float | None
    """Of the network alone on one face; None for a peer."""


def timed(ours: Mapping[str, tuple[Json, float]], peers: Sequence[Json]) -> list[Timed]:
    """Who was timed, the fastest first; a peer at the best of its times.

    Args:
        ours: what the benchmark wrote, and the accuracy, by model.
        peers: entries of peers.json; those that the benchmark did not time are left out.
    """
    found = [
        Timed(model, bench["photo"]["photo_ms"], accuracy, bench["engines"]["ours_ms"])
        for model, (bench, accuracy) in ours.items()
    ]
    for peer in peers:
        runs = [bench["photo"].get(peer.get("bench", "")) for bench, _ in ours.values()]
        if its := [ms for ms in runs if ms is not None]:
            found.append(Timed(peer["name"], min(its), peer["accuracy"], None))
    return sorted(found, key=lambda one: one.ms)


def latency(ours: Mapping[str, tuple[Json, float]], peers: Sequence[Json]) -> Chart:
    """Time of one photo against accuracy on FER2013's labels; arguments as of `timed`."""
    entries = timed(ours, peers)
    best = max((e for e in entries if e.face_ms is not None), key=lambda entry: entry.accuracy)
    title = (
        f"{best.name} reads a photo in {best.ms:.0f} ms and names {share(best.accuracy)} of "
        "FER2013's faces as labelled"
    )
    other = next((e for e in entries if e.face_ms is None), None)
    if other:
        title += f"; {other.name}: {other.ms:.0f} ms, {share(other.accuracy)}"
    names = [e.name if e.face_ms is None else f"{e.name} (this app)" for e in entries]
    points = go.Scatter(
        x=[entry.ms for entry in entries],
        y=[100 * entry.accuracy for entry in entries],
        mode="markers+text",
        marker={
            "size": 13,
            "color": MARK,
            "symbol": ["circle-open" if e.face_ms is None else "circle" for e in entries],
            "line": {"width": 2, "color": MARK},
        },
        text=names,
        # Neighbours may be near.
        textposition=["top center" if k % 2 else "bottom center" for k in range(len(entries))],
        cliponaxis=False,
        hovertemplate="%{text}: %{x:.0f} ms, %{y:.1f} %<extra></extra>",
    )
    slowest = entries[-1].ms
    shares = [100 * entry.accuracy for entry in entries]
    figure = chart_figure(
        [points],
        title,
        320,
        margin={"l": 0, "r": EDGE, "t": 28, "b": 0},
        xaxis={
            "title": {"text": "Milliseconds for a photo of 1280 x 720 px (left is faster)"},
            "range": [0, 1.25 * slowest],
            "automargin": True,
        },
        yaxis=percent_axis("Accuracy", float(min(shares)) - 5, float(max(shares)) + 5),
    )
    table: list[Row] = [
        {
            "Model": name,
            "A photo, ms": f"{entry.ms:.0f}",
            "The network alone, one face, ms": f"{entry.face_ms:.1f}" if entry.face_ms else "",
            "Accuracy, FER2013": share(entry.accuracy),
        }
        for name, entry in zip(names, entries, strict=True)
    ]
    return Chart(figure, title, table)
