"""The charts of where a model errs: confusion, each expression, spoiled pictures. Pure."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from fer_demo.model_charts import (
    LEGEND_ABOVE,
    MARK,
    Chart,
    Json,
    Row,
    chart_figure,
    percent_axis,
    share,
)

LEVELS = ("slight", "medium", "strong")
"""Of each corruption."""


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
    cells = go.Heatmap(
        z=100 * rates,
        x=names,
        y=names,
        text=np.char.mod("%.0f", shown),
        texttemplate="%{text}",
        hoverinfo="skip",
        # Half transparent: the theme's ink, dark or light, reads on every cell.
        colorscale=[[0, "rgba(112,129,150,0.06)"], [1, "rgba(112,129,150,0.62)"]],
        zmin=0,
        zmax=100,
        xgap=2,
        ygap=2,
        showscale=False,
    )
    # A heat map's cells cannot be chosen by a click; markers upon them can.
    targets = go.Scatter(
        x=[b for _ in names for b in names],
        y=[a for a in names for _ in names],
        mode="markers",
        marker={"symbol": "square", "size": 34, "opacity": 0},
        selected={"marker": {"opacity": 0.35, "color": MARK}},
        unselected={"marker": {"opacity": 0}},
        customdata=[
            f"Of {int(matrix[i].sum())} pictures that people called {a},<br>"
            f"{int(matrix[i, j])} ({share(rates[i, j], 0)}) were called {b}."
            for i, a in enumerate(names)
            for j, b in enumerate(names)
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )
    figure = chart_figure(
        [cells, targets],
        title,
        90 + 44 * len(names),
        # Given, since the targets' size would widen the axes beyond the cells.
        xaxis={
            "title": {"text": "The model said"},
            "range": [-0.5, len(names) - 0.5],
            "tickangle": -40,
            "automargin": True,
        },
        yaxis={
            "title": {"text": "People said"},
            "range": [len(names) - 0.5, -0.5],
            "automargin": True,
            "ticksuffix": " ",
        },
    )
    table: list[Row] = [
        {"People said": a} | {b: f"{shown[i, j]:.0f}" for j, b in enumerate(names)}
        for i, a in enumerate(names)
    ]
    return Chart(figure, title, table)


def cell(result: Json, true: str, said: str) -> str:
    """What one cell of the confusion matrix means, read along its row and down its column."""
    names = list(result["per_class"])
    matrix = np.array(result["confusion"], int)
    i, j = names.index(true), names.index(said)
    n, row, column = int(matrix[i, j]), int(matrix[i].sum()), int(matrix[:, j].sum())
    of_row, of_column = n / max(row, 1), n / max(column, 1)
    if i == j:
        return (
            f"Of {row} pictures that people called {true}, the model named {n} rightly: a recall "
            f"of {share(of_row, 0)}. Of its {column} answers of {said}, {share(of_column, 0)} are "
            "right: its precision."
        )
    back = int(matrix[j, i])
    return (
        f"Of {row} pictures that people called {true}, the model called {n} ({share(of_row, 0)}) "
        f"{said}. They are {share(of_column, 0)} of its {column} answers of {said}. The other way "
        f"round, {back} of {int(matrix[j].sum())} pictures of {said} were called {true}."
    )


def worst_known(result: Json, count: int = 3) -> list[str]:
    """The expressions that are named worst, each with its commonest mistake, as sentences."""
    names = list(result["per_class"])
    matrix = np.array(result["confusion"], float)
    recall = {n: e["recall"] for n, e in result["per_class"].items() if e["n"]}
    sentences = []
    for name in sorted(recall, key=lambda name: recall[name])[:count]:
        i = names.index(name)
        missed = matrix[i].copy()
        missed[i] = -1
        j = int(missed.argmax())
        n = result["per_class"][name]["n"]
        error = (recall[name] * (1 - recall[name]) / n) ** 0.5
        sentences.append(
            f"**{name.capitalize()}**: {share(recall[name], 0)} are found (of {n} pictures, so "
            f"give or take {100 * error:.0f} points); {share(matrix[i, j] / n, 0)} are called "
            f"{names[j]}."
        )
    return sentences


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
