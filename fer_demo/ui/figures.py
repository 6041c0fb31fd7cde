"""What the sections of the Models page are made of: findings, figures, and the same as tables."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from fer_demo.model_charts import Chart, Row

BARE = {"displayModeBar": False}


def section(title: str) -> None:
    """A heading of the page's story."""
    st.markdown(f"## {title}", anchors=False)


def missing(what: str, command: str) -> None:
    """What stands in place of figures that are not there."""
    st.info(f"{what} was not measured. The command is `{command}`.")


def show(chart: Chart, key: str, note: str = "") -> None:
    """The finding, the figure, and the same numbers as a table."""
    finding(chart, note)
    st.plotly_chart(chart.figure, key=key, config=BARE, width="stretch", alt=chart.title)
    numbers(chart)


def finding(chart: Chart, note: str) -> None:
    """What a chart says, above it."""
    st.markdown(f"#### {chart.title}", anchors=False)
    if note:
        st.caption(note)


def numbers(chart: Chart) -> None:
    """A chart's table, folded away below it."""
    with st.expander("The numbers as a table"):
        table(chart.table)


def table(rows: Sequence[Row]) -> None:
    """Rows with the same columns, as they are."""
    st.table({name: [str(row[name]) for row in rows] for name in rows[0]})
