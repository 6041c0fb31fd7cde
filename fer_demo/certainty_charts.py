"""The charts of how sure a model may be: reliability, answers against accuracy. Pure."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from fer_demo.model_charts import (
    FAINT,
    LEGEND_ABOVE,
    MARK,
    Chart,
    Json,
    Row,
    chart_figure,
    percent_axis,
    share,
)

MIN_ANSWERS = 20
"""Fewer answers than this are in the table and make no point of a curve."""


def reliability(calibration: Json) -> Chart:
    """How often answers of each confidence are right, before and after calibration."""
    edges = np.array(calibration["bins"]["edges"])
    before, after = calibration["ece_before"], calibration["ece"]
    low, high = calibration["ece_interval"]
    title = (
        f"Confidence is off by {share(after)} on average, before calibration {share(before)} "
        f"(a perfectly calibrated model would show {share(low)} to {share(high)})"
    )
    diagonal = go.Scatter(
        x=[0, 100], y=[0, 100], mode="lines", line={"color": FAINT, "dash": "dot"},
        hoverinfo="skip", showlegend=False,
    )  # fmt: skip
    traces = [diagonal]
    table: list[Row] = []
    for when, symbol, dash in (("before", "circle-open", "dash"), ("after", "circle", "solid")):
        bins = calibration["bins"][when]
        n, right = np.array(bins["n"]), np.array(bins["right"])
        shown = n >= MIN_ANSWERS
        p = right / np.maximum(n, 1)
        traces.append(
            go.Scatter(
                x=100 * np.array(bins["confidence"])[shown],
                y=100 * p[shown],
                error_y={
                    "array": (100 * np.sqrt(p * (1 - p) / np.maximum(n, 1)))[shown],
                    "color": FAINT,
                    "thickness": 2,
                },
                name=f"{when} calibration",
                mode="lines+markers",
                line={"color": MARK, "dash": dash, "width": 2 if when == "after" else 1},
                marker={"size": 9, "color": MARK, "symbol": symbol},
                customdata=np.stack([right, n], axis=1)[shown],
                hovertemplate="%{fullData.name}: confidence %{x:.0f} %, right in "
                "%{customdata[0]} of %{customdata[1]}<extra></extra>",
            )
        )
        table += [
            {
                "Calibration": when,
                "Confidence": f"{100 * a:.0f} to {100 * b:.0f} %",
                "Answers": int(count),
                "Right": int(good),
                "Share": share(good / count),
            }
            for a, b, count, good in zip(edges[:-1], edges[1:], n, right, strict=True)
            if count
        ]
    figure = chart_figure(
        traces,
        title,
        360,
        **LEGEND_ABOVE,
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
