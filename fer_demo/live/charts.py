"""Figures of the Live page: a person's bars now, their last minute, and the whole stream. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from fer_demo.charts import COLOURS, TEMPLATE, probability_bars
from fer_demo.live.recording import GAP_SECONDS, UNCERTAIN, Timeline
from fer_demo.types import EXPRESSIONS

UNCERTAIN_COLOUR = "#C9CED6"
"""Light grey, no expression's: dashes and words carry "uncertain" elsewhere."""

PERCENT_AXIS = {"tickvals": [0, 50, 100], "ticktext": ["0 %", "50 %", "100 %"]}

ROLLING_SECONDS = 60.0


def bars(probs: NDArray[np.float32]) -> go.Figure:
    """Bars of one person's seven probabilities (7,), the expressions always in one order."""
    bar = probability_bars(EXPRESSIONS, probs).update(hovertemplate=None, hoverinfo="skip")
    return go.Figure(
        bar,
        layout={
            "template": TEMPLATE,
            "margin": {"t": 0},
            "height": 195,
            # Room to the right of 100 for the number at the end of a full bar.
            "xaxis": {"range": [0, 118], **PERCENT_AXIS},
            "yaxis": {"autorange": "reversed", "ticksuffix": "  "},
        },
    )


def rolling(timeline: Timeline, person: int, now: float) -> go.Figure:
    """Lines of one person's probabilities over the last minute; `now` is at 0 on the right."""
    mine = timeline.of(person, since=now - ROLLING_SECONDS)
    seconds, probs = _with_gaps(mine.seconds - now, 100 * mine.probs)
    # Only what was ever likely gets a name, at the line's end; seven names would overlap.
    lines = [
        go.Scatter(
            x=seconds,
            y=probs[:, i],
            mode="lines",
            name=label,
            line={"color": COLOURS[label], "width": 2.5 if probs[-1:, i].sum() > 50 else 1.5},
            hovertemplate=label + " %{y:.0f} %<extra></extra>",
        )
        for i, label in enumerate(EXPRESSIONS)
    ]
    return go.Figure(
        lines,
        layout={
            "template": TEMPLATE,
            "title": {"text": f"Person {person}, last minute"},
            "height": 190,
            "uirevision": person,
            "xaxis": {
                "range": [-ROLLING_SECONDS, 0],
                "tickvals": [-60, -45, -30, -15, 0],
                "ticktext": ["−60 s", "−45 s", "−30 s", "−15 s", "now"],
            },
            "yaxis": {"range": [-2, 104], **PERCENT_AXIS},
        },
    )


def _with_gaps(
    seconds: NDArray[np.float32], values: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The same with a NaN row wherever nothing was seen for a while, so that lines break there."""
    after = np.flatnonzero(np.diff(seconds) > GAP_SECONDS) + 1
    return np.insert(seconds, after, np.nan), np.insert(values, after, np.nan, axis=0)


def strips(timeline: Timeline) -> go.Figure:
    """One row a person: which expression was shown when, as coloured stretches."""
    figure = go.Figure()
    people = timeline.people
    stretches = [(person, *found) for person in people for found in _stretches(timeline.of(person))]
    # One trace a label: ten minutes are thousands of stretches, and as many traces freeze a tab.
    for label in (*EXPRESSIONS, UNCERTAIN):
        found = [(person, start, length) for person, of, start, length in stretches if of == label]
        if not found:
            continue
        persons, starts, lengths = zip(*found, strict=True)
        figure.add_bar(
            x=lengths,
            base=starts,
            y=[f"Person {person}" for person in persons],
            customdata=[(start, start + length) for _, start, length in found],
            orientation="h",
            width=0.6,
            name=label,
            marker={"color": _colour(label), "line": {"width": 0}},
            hovertemplate=label + ", %{customdata[0]:.1f} to %{customdata[1]:.1f} s<extra></extra>",
        )
    figure.update_layout(
        _rows("Who showed what, when", people),
        barmode="overlay",
        xaxis={"ticksuffix": " s", "rangemode": "tozero"},
    )
    return figure


def shares(timeline: Timeline) -> go.Figure:
    """One row a person: share of their time for each expression, adding up to 100 %."""
    people = timeline.people
    by_person = [timeline.shares(person) for person in people]
    figure = go.Figure()
    for label in (*EXPRESSIONS, UNCERTAIN):
        part = [100 * share[label] for share in by_person]
        if max(part, default=0) == 0:
            continue
        figure.add_bar(
            x=part,
            y=[f"Person {person}" for person in people],
            orientation="h",
            width=0.6,
            name=label,
            marker={"color": _colour(label)},
            hovertemplate=label + " %{x:.0f} %<extra></extra>",
        )
    figure.update_layout(
        _rows("Share of time", people),
        barmode="stack",
        xaxis={"range": [0, 104], **PERCENT_AXIS},
    )
    return figure


def _rows(title: str, people: tuple[int, ...]) -> dict[str, Any]:
    """Layout of a figure with a row for each person, in their order, and the legend below."""
    return {
        "template": TEMPLATE,
        "title": {"text": title},
        "showlegend": True,
        "legend": {
            "orientation": "h",
            "y": -0.35 if len(people) < 3 else -0.2,
            "traceorder": "normal",
        },
        "height": 130 + 36 * len(people),
        # Named, since else whoever showed the first expression would stand first.
        "yaxis": {
            "autorange": "reversed",
            "ticksuffix": "  ",
            "categoryorder": "array",
            "categoryarray": [f"Person {person}" for person in people],
        },
    }


def shares_in_words(timeline: Timeline, person: int) -> str:
    """ "Person 1: happy 80 %, neutral 15 %, uncertain 5 %", the largest first."""
    found = sorted(timeline.shares(person).items(), key=lambda item: -item[1])
    parts = [f"{label} {100 * share:.0f} %" for label, share in found if share >= 0.005]
    return f"Person {person}: {', '.join(parts)}"


def _colour(label: str) -> str:
    return COLOURS.get(label, UNCERTAIN_COLOUR)


def _stretches(mine: Timeline) -> list[tuple[str, float, float]]:
    """(label, start, length) of runs of one label, s; a gap ends a run."""
    labels, seconds, held = mine.labels(), mine.seconds, mine.held()
    if len(seconds) == 0:
        return []
    cuts = np.flatnonzero((np.diff(labels) != 0) | (np.diff(seconds) > GAP_SECONDS)) + 1
    found = []
    for rows in np.split(np.arange(len(seconds)), cuts):
        first, last = rows[0], rows[-1]
        end = seconds[last] + held[last]
        label = UNCERTAIN if labels[first] < 0 else EXPRESSIONS[int(labels[first])]
        found.append((label, float(seconds[first]), float(end - seconds[first])))
    return found
