"""The charts of where a model errs: the confusion of expressions, and each of them. Pure."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from fer_demo.model_charts import (
    MARK,
    Chart,
    Json,
    Row,
    chart_figure,
    share,
)


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
