"""Which weights are in use: one small line that names where they come from."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from fer_demo.ensemble import ENSEMBLE
from fer_demo.types import ModelCard
from fer_demo.ui import resources
from fer_demo.weights import WeightsFolder, card_url

SHOWN_DIGITS = 7
"""Of a commit: as many as the Hub's own pages show."""


def origin(card: ModelCard) -> str:
    """Where weights come from, as markdown; those from the Hub link to their model card."""
    url = card_url(card)
    return "bundled with this app" if url is None else f"[{short_name(card.source)}]({url})"


def short_name(name: str) -> str:
    """A model's name with no more of a commit than a person reads."""
    repo, at, revision = name.partition("@")
    return f"{repo}{at}{revision[:SHOWN_DIGITS] if len(revision) == 40 else revision}"


def title(name: str, members: int | None = None) -> str:
    """A name of `predictors` as a choice on the page.

    Args:
        members: how many models ENSEMBLE stands for; those in use where None.
    """
    if name != ENSEMBLE:
        return short_name(name)
    return "Both" if (members or len(resources.models())) == 2 else "All"


def weights_line(folders: Sequence[WeightsFolder]) -> None:
    """The weights that answered, and where they are not those that were asked for, why."""
    told = (
        f"{folder.card.name}, {origin(folder.card)}"
        if card_url(folder.card) is None
        else origin(folder.card)
        for folder in folders
    )
    with st.container(key="weights", gap=None):
        st.caption(f"Weights: {'; '.join(told)}.")
        for folder in folders:
            if folder.notice:
                st.text(folder.notice)  # may hold a foreign repository's words: not markdown
