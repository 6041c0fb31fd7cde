"""Plotly figures and the sentence that each one shows. Pure.

All figures share one template. It sets no ink: the page's theme gives text its colour, so that a
chart reads in light and dark alike.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from PIL import Image

from fer_demo.draw import COLOURS, EVIDENCE_AGAINST, EVIDENCE_FOR, percent
from fer_demo.regions import REGIONS, RegionShares
from fer_demo.types import Analysis

__all__ = [
    "COLOURS",
    "RIM",
    "TEMPLATE",
    "describe_face",
    "finding",
    "nearest_two",
    "picture_chart",
    "probabilities_chart",
    "probability_bars",
    "regions_chart",
    "regions_finding",
    "small_bars",
    "unbroken",
]

TEMPLATE = go.layout.Template(
    layout={
        "margin": {"l": 0, "r": 0, "t": 34, "b": 0},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "bargap": 0.32,
        "title": {
            "x": 0,
            "xref": "container",
            "y": 1,
            "yanchor": "top",
            "pad": {"t": 4},
        },
        "xaxis": {"showgrid": False, "zeroline": False, "fixedrange": True},
        "yaxis": {"showgrid": False, "zeroline": False, "fixedrange": True},
    }
)
"""Used by every figure: no gridlines, room for a title, nothing that zooms by accident."""


RIM = "#8593A5"
"""Around fills that are dark: seen on the light page and on the dark one."""


def finding(analysis: Analysis, face: int) -> str:
    """What is said of a face (from 0): "Happy, 97 %" or "Uncertain: sad 41 % or neutral 38 %"."""
    probs = analysis.predictions.probs[face]
    first, second = (int(i) for i in np.argsort(-probs, kind="stable")[:2])
    labels = analysis.predictions.labels
    if analysis.is_uncertain(face):
        return (
            f"Uncertain: {labels[first]} {percent(probs[first])} "
            f"or {labels[second]} {percent(probs[second])}"
        )
    return f"{labels[first].capitalize()}, {percent(probs[first])}"


def nearest_two(analysis: Analysis, face: int) -> str:
    """The two most probable expressions of a face (from 0): "Happy 97 %, neutral 2 %"."""
    probs = analysis.predictions.probs[face]
    first, second = np.argsort(-probs, kind="stable")[:2]
    labels = analysis.predictions.labels
    return (
        f"{labels[first].capitalize()} {percent(probs[first])}, "
        f"{labels[second]} {percent(probs[second])}"
    )


def describe_face(analysis: Analysis, face: int) -> str:
    """All seven probabilities of a face in words, for those who hear the chart."""
    pairs = zip(analysis.predictions.labels, analysis.predictions.probs[face], strict=True)
    shares = ", ".join(f"{label} {percent(share)}" for label, share in pairs)
    return f"Face {face + 1}. {finding(analysis, face)}. Bar chart: {shares}."


def probabilities_chart(analysis: Analysis, face: int) -> go.Figure:
    """Bars of the seven probabilities of one face (from 0); the title names the nearest two."""
    return go.Figure(
        _bars(analysis, face),
        layout={
            "template": TEMPLATE,
            "title": {"text": nearest_two(analysis, face), "font": {"size": 14, "weight": 500}},
            "height": 260,
            # Room to the right of 100 for the number at the end of a full bar.
            "xaxis": {
                "range": [0, 118],
                "tickvals": [0, 50, 100],
                "ticktext": ["0", "50", "100 %"],
            },
            "yaxis": {"autorange": "reversed", "ticksuffix": "  "},
        },
    )


def small_bars(analysis: Analysis, face: int) -> go.Figure:
    """The same bars for a column of 150 px and more."""
    bars = _bars(analysis, face).update(marker_cornerradius=2, textfont_size=11)
    return go.Figure(
        bars,
        layout={
            "template": TEMPLATE,
            "height": 165,
            "margin": {"l": 0, "r": 0, "t": 4, "b": 0},
            # As above, at small print.
            "xaxis": {"range": [0, 175], "visible": False},
            "yaxis": {"autorange": "reversed", "ticksuffix": " ", "tickfont": {"size": 11}},
        },
    )


def probability_bars(labels: Sequence[str], probs: NDArray[Any]) -> go.Bar:
    """Horizontal bars of probabilities (K,) in [0, 1], in the colours of their expressions."""
    return go.Bar(
        x=100 * probs.astype(float),
        y=list(labels),
        orientation="h",
        marker={"color": [COLOURS[label] for label in labels], "cornerradius": 3},
        text=[percent(share) for share in probs.astype(float)],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
    )


def _bars(analysis: Analysis, face: int) -> go.Bar:
    predictions = analysis.predictions
    return probability_bars(predictions.labels, predictions.probs[face])


def unbroken(said: str) -> str:
    """The same where no line may break between a number and its sign, as on a narrow screen."""
    return said.replace(" %", "\N{NO-BREAK SPACE}%")


def regions_finding(shares: RegionShares, what: str) -> str:
    """The region that holds most for its size: "41 % of the map for happy lies around the mouth,
    on 17 % of the area"."""
    both = shares.towards + shares.against
    most = int((both / np.maximum(shares.area, 1e-6)).argmax())
    places = {"eyes and brows": "around eyes and brows", "nose": "on the nose",
              "mouth": "around the mouth", "rest": "beside eyes, nose and mouth"}  # fmt: skip
    return (
        f"{percent(both[most])} of the map for {what} lies {places[REGIONS[most]]}, "
        f"on {percent(shares.area[most])} of the area"
    )


def regions_chart(shares: RegionShares, *, signed: bool) -> go.Figure:
    """Share of a map in each region: for to the right, against to the left.

    Beside each region stands its share of the area: what a map that says nothing would show.
    """
    # On two lines: side by side they take half of a phone.
    names = [
        f"{name}<br>{percent(area)} of the area"
        for name, area in zip(REGIONS, shares.area, strict=True)
    ]
    towards, against = 100 * shares.towards, 100 * shares.against
    bars = [
        go.Bar(
            x=values,
            y=names,
            orientation="h",
            # The rim shows on a dark page, too.
            marker={"color": colour, "line": {"width": 1, "color": RIM}},
            text=[percent(abs(value) / 100) if value else "" for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertemplate=f"%{{y}}, {word}: %{{customdata:.0f}} %<extra></extra>",
            customdata=np.abs(values),
        )
        for values, colour, word in (
            (towards, EVIDENCE_FOR, "for"),
            (-against, EVIDENCE_AGAINST, "against"),
        )[: 2 if signed else 1]
    ]
    right, left = float(towards.max()), float(against.max()) if signed else 0.0
    room = 0.22 * max(right + left, 30.0)  # for the numbers at the ends of the bars
    return go.Figure(
        bars,
        layout={
            "template": TEMPLATE,
            "barmode": "relative",
            "margin": {"l": 0, "r": 0, "t": 4, "b": 0},
            "height": 172,
            "xaxis": {"range": [-left - room * signed, right + room], "visible": False},
            "yaxis": {"autorange": "reversed", "ticklabelstandoff": 8, "automargin": True},
        },
    )


def picture_chart(rgb: NDArray[np.uint8], size: tuple[int, int]) -> go.Figure:
    """A picture on which a box can be dragged.

    Args:
        rgb: (h, w, 3) uint8, what is shown, as a rule smaller than the photo.
        size: width and height of the photo, px; the axes are in these pixels, y downwards.
    """
    width, height = size
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=88)
    source = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    # plotly.js reports a dragged box only over a trace that could be selected from.
    corners = go.Scatter(
        x=[0, width], y=[0, height], mode="markers", marker={"opacity": 0}, hoverinfo="skip"
    )
    axis = {"visible": False, "constrain": "domain"}
    return go.Figure(
        corners,
        layout={
            "template": TEMPLATE,
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
            "dragmode": "select",
            "newselection": {"line": {"color": "#FFFFFF", "width": 2, "dash": "solid"}},
            "xaxis": {**axis, "range": [0, width]},
            "yaxis": {**axis, "range": [height, 0], "scaleanchor": "x", "constraintoward": "top"},
            "images": [
                {
                    "source": source,
                    "xref": "x",
                    "yref": "y",
                    "x": 0,
                    "y": 0,
                    "sizex": width,
                    "sizey": height,
                    "sizing": "stretch",
                    "layer": "below",
                }
            ],
        },
    )
