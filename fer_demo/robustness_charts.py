"""The charts of how robust a model is: spoiled, small, turned, unusual faces. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from fer_demo.model_charts import (
    FAINT,
    LEGEND_ABOVE,
    MARK,
    Chart,
    Json,
    Row,
    begin_below,
    chart_figure,
    percent_axis,
    share,
)

LEVELS = ("slight", "medium", "strong")
"""Of each corruption."""


def corruptions(result: Json) -> Chart:
    """Accuracy under each corruption at three levels, the one that does the worst at the top."""
    # Those of some images only have the clean ones for themselves.
    found, clean = result["corruptions"], result.get("corruptions_clean", result["accuracy"])
    # Stronger is not always worse: what training did to its pictures is known to the network.
    names = sorted(found, key=lambda name: min(found[name]), reverse=True)
    lowest = min(found[names[-1]])
    title = (
        f"Hardest: {LEVELS[found[names[-1]].index(lowest)]} {names[-1]}, {share(lowest, 0)}, "
        f"against {share(clean, 0)} on the clean pictures"
    )
    symbols, sizes = ("circle-open", "circle", "diamond"), (9, 10, 12)
    traces = [
        go.Scatter(
            x=[100 * found[name][level] for name in names],
            y=names,
            name=LEVELS[level],
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
        **LEGEND_ABOVE,
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


def small_faces(result: Json) -> Chart:
    """Accuracy by how wide the face's crop was in the photo, the widest at the top."""
    found = result["small_faces"]
    (widest, whole), *_, (narrowest, least) = found.items()
    title = (
        f"Faces {narrowest} wide: {share(least['accuracy'], 0)} named as people did, against "
        f"{share(whole['accuracy'], 0)} at {widest}"
    )
    return _by_bin(title, "Width in the photo", found)


def turned_faces(result: Json) -> Chart:
    """Accuracy by how far the face is turned, the most frontal at the top."""
    found = {name: entry for name, entry in result["pose"]["yaw"].items() if entry["n"]}
    bins = list(found.values())
    title = (
        f"The most turned faces: {share(bins[-1]['accuracy'], 0)}, against "
        f"{share(bins[0]['accuracy'], 0)} of the most frontal"
    )
    return _by_bin(title, "Turned", found)


def _by_bin(title: str, what: str, found: Mapping[str, Json]) -> Chart:
    """Accuracy with its standard error by bin, the first at the top.

    Args:
        what: the bins are of, as the table's heading.
        found: `n` > 0 and `accuracy` of each bin.
    """
    n = np.array([entry["n"] for entry in found.values()])
    accuracy = np.array([entry["accuracy"] for entry in found.values()])
    error = np.sqrt(accuracy * (1 - accuracy) / n)
    points = go.Scatter(
        x=100 * accuracy,
        y=list(found),
        error_x={"array": 100 * error, "color": FAINT, "thickness": 2},
        mode="markers",
        marker={"symbol": "circle", "size": 11, "color": MARK},
        customdata=n,
        hovertemplate="%{y}: %{x:.1f} % of %{customdata} faces<extra></extra>",
    )
    figure = chart_figure(
        [points],
        title,
        80 + 34 * len(found),
        xaxis=percent_axis("Accuracy, ± its standard error", begin_below((accuracy - error).min())),
        yaxis={"automargin": True, "ticksuffix": "  ", "type": "category", "autorange": "reversed"},
    )
    table: list[Row] = [
        {
            what: name,
            "Faces": entry["n"],
            "Accuracy": share(entry["accuracy"]),
            "±": f"{100 * one:.1f}",
        }
        for (name, entry), one in zip(found.items(), error, strict=True)
    ]
    return Chart(figure, title, table)


USUAL = "photographs"
"""The kind that `training.outside` compares all others with."""


def _right_of(kind: Json) -> str:
    """The share of confident answers without a warning that are right, where there are labels."""
    if kind.get("right") is None or kind["unwarned"] == 0:
        return "–"
    return share(kind["right"] / kind["unwarned"], 0)


def outside(document: Json) -> tuple[str, list[Row]]:
    """What becomes of faces that the app was not made for: the finding, and a table."""
    kinds = document["kinds"]
    others = {name: kind for name, kind in kinds.items() if name != USUAL}
    worst = max(others, key=lambda name: others[name]["unwarned"])
    title = (
        f"Most often taken for the usual: {worst}, {share(others[worst]['unwarned'], 0)} named "
        f"without a warning, against {share(kinds[USUAL]['unwarned'], 0)} of {USUAL}"
    )
    table: list[Row] = [
        {
            # Five narrow columns: the last two matter most, and must stand on a phone.
            "Kind": f"{name} ({kind['n']})",
            "Found": share(kind["found"], 0),
            "Warned": share(kind["warned"], 0),
            "Named, no warning": share(kind["unwarned"], 0),
            "Of those right": _right_of(kind),
        }
        for name, kind in kinds.items()
    ]
    return title, table
