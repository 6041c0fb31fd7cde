"""How good the models are: a section of the Models page, of all of them side by side."""

from __future__ import annotations

from typing import Any

import streamlit as st

from fer_demo import model_charts
from fer_demo.measured import LABELS_OF, Json, Measured, peers
from fer_demo.model_charts import Row, share
from fer_demo.types import SHOWN_PROTOCOL
from fer_demo.ui.figures import missing, section, show, table
from fer_demo.ui.origin import title

COLUMNS = {"fer2013": "FER2013", "ferplus8": "FER+ 8", "ferplus7": "FER+ 7"}
"""Of the table, by protocol."""


def accuracy(model: Measured) -> float:
    """By the labels that the app shows; 0 where it was not measured."""
    return float(model.heads.get(SHOWN_PROTOCOL, {}).get("accuracy", 0))


def how_good(models: list[Measured]) -> None:
    """The accuracies, among published ones, and the speed.

    Args:
        models: the best first.
    """
    section("How good")
    measured = [model for model in models if model.heads]
    if not measured:
        missing("Accuracy", "python -m training.evaluate")
        return
    _accuracies(measured)
    published = peers()
    for head, name in (("fer2013", "FER2013"), ("ferplus8", "FER+")):
        ours = {
            title(model.name, model.members): (model.heads[head], model.split)
            for model in measured
            if head in model.heads
        }
        if ours:
            chart = model_charts.accuracy(ours, published[head], name)
            note = (
                "Filled: this app. Open: published figures, mostly on PrivateTest, whose figures "
                "are as a rule a little higher than those on PublicTest."
            )
            show(chart, f"accuracy-{head}", note)
            sources = ", ".join(
                f"[{peer['name']}]({peer['url']}), by {peer['measured_by']}"
                for peer in published[head]
            )
            st.caption(f"Sources: {sources}.")
    _how_fast(measured, published["fer2013"])


def _accuracies(measured: list[Measured]) -> None:
    """A column for each set of labels, so that it stands on a phone; the rest is a click away."""
    st.markdown("The share of faces named as labelled, ± its standard error:")
    rows: list[Row] = []
    for model in measured:
        figures = {name: _figure(model.heads.get(head)) for head, name in COLUMNS.items()}
        rows.append({"Model": title(model.name, model.members), **figures})
    table(rows)
    st.caption(
        "FER+ 7 are the seven classes that this app shows. Figures on different labels are never "
        "mixed." + _trained_on(measured)
    )
    with st.expander("Which labels, how many pictures, those not trained on, and macro F1"):
        st.markdown(
            "\n".join(f"- **{name}**: {LABELS_OF[head]}." for head, name in COLUMNS.items())
        )
        table(
            [
                {
                    "Model": title(model.name, model.members),
                    "Labels": COLUMNS.get(head, head),
                    "Pictures": f"{result['n']}, {model.split}",
                    "Not in training": _figure(result.get("unseen")),
                    "Macro F1": share(result["macro_f1"]),
                }
                for model in measured
                for head, result in model.heads.items()
            ]
        )


def _trained_on(measured: list[Measured]) -> str:
    """What share of the pictures the models were trained on, where that was looked at."""
    for model in measured:
        result = model.heads.get("fer2013", {})
        if "unseen" in result:
            share_seen = 1 - result["unseen"]["n"] / result["n"]
            return (
                f" {share(share_seen)} of these pictures are in FER2013's training part as well; "
                "published figures count them, so these do. Without them: below."
            )
    return ""


def _figure(result: Json | None) -> str:
    if result is None:
        return "not measured"
    error = f"{100 * result['standard_error']:.1f}"
    return f"{share(result['accuracy'])} ±\N{NO-BREAK SPACE}{error}"


def _how_fast(models: list[Measured], published: list[dict[str, Any]]) -> None:
    timed = {
        title(model.name, model.members): (model.bench, model.heads["fer2013"]["accuracy"])
        for model in models
        if model.bench is not None and "fer2013" in model.heads
    }
    if not timed:
        missing("Speed", "python -m fer_demo bench --json")
        return
    threads = next(iter(timed.values()))[0]["threads"]
    splits = ", ".join(sorted({model.split for model in models if model.split}))
    note = (
        f"From the file's bytes to the result, on {threads} processor threads, by one command on "
        "one machine. Filled: this app. What it did not time is not drawn; all models together "
        f"take as long as each of them in turn. Accuracy as above, of {splits}."
    )
    show(model_charts.latency(timed, published), "latency", note)
