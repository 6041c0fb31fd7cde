"""The cards: for each face its number, its expression, seven bars and the evidence for one.

A change of class, opacity or crop redraws pictures from the evidence that the analysis holds; the
network never runs for it, and the rest of the page stays as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from fer_demo.charts import describe_face, finding, probabilities_chart
from fer_demo.draw import badge, colour_bar, evidence_scale, face_colour, overlay
from fer_demo.types import COLOUR_SIDE, EXPRESSIONS, Analysis
from fer_demo.ui.gallery import Picture, Question
from fer_demo.ui.picture import remove_box

CARDS_A_PAGE = 5

CONFIDENCE_HELP = (
    "Calibrated: of 100 faces with a confidence of 80 %, people give the same label to about 80. "
    "It is measured on FER2013 pictures and says less about very different ones."
)
UNCERTAIN_HELP = (
    "No expression reaches the confidence that this model needs for an answer. "
    "The two nearest are named instead."
)
EVIDENCE_HELP = (
    "What each place of the face says for or against the chosen expression, in logits, on one "
    "scale for the whole picture. Its mean, plus a constant, is the expression's score."
)
WARNING_HELP = {
    "small face": "The face is small in the picture, so the network sees an enlarged one.",
    "blurred": "The face has less detail than the faces this network learned from.",
    "dark": "The face is darker than the faces this network learned from.",
    "too bright": "The face is brighter than the faces this network learned from.",
    "little contrast": "The face has hardly any light and shade.",
    "turned away": "The face is not seen from the front.",
}


@st.fragment
def cards(picture: Picture, question: Question, pager: DeltaGenerator | None) -> None:
    """All cards of one picture, in pages where there is a `pager`, a place beside the picture."""
    analysis = picture.analyses[question]
    _forget_choices_for_other_faces((picture.digest, question))
    opacity, grey = _look_controls(analysis)
    first = 0
    if pager is not None:
        with pager:
            first = _first_card(len(analysis))
    scale = evidence_scale(analysis)
    for face in range(first, min(first + CARDS_A_PAGE, len(analysis))):
        _card(picture, question, face, scale, opacity, grey)


def _first_card(count: int) -> int:
    """The first face (from 0) of the page of cards that was picked."""
    pages = -(-count // CARDS_A_PAGE)
    page = st.pagination(pages, key="page", bind="query-params", max_visible_pages=5)
    first = (page - 1) * CARDS_A_PAGE
    st.caption(f"Cards of faces {first + 1} to {min(first + CARDS_A_PAGE, count)} of {count}")
    return first


def _forget_choices_for_other_faces(now: tuple[str, Question]) -> None:
    """Face 2 of another picture, or of another answer, is another face: its choice is not kept."""
    before = st.session_state.get("cards_for")
    if before not in (None, now):
        for key in [key for key in st.session_state if str(key).startswith("face")]:
            del st.session_state[key]
        st.session_state.pop("page", None)
    st.session_state["cards_for"] = now


def _look_controls(analysis: Analysis) -> tuple[float, bool]:
    """Opacity of the evidence, whether the grey crop is shown, and what the colours mean."""
    limit = evidence_scale(analysis)
    with st.container(key="look", horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(width=180, gap="xxsmall", key="legend"):
            st.markdown(":small[Evidence]", help=EVIDENCE_HELP)
            st.image(
                colour_bar(),
                width="stretch",
                alt="Colour bar of the evidence: teal speaks against the expression, purple for "
                "it, clear for neither.",
            )
            with st.container(horizontal=True, horizontal_alignment="distribute", gap=None):
                st.caption(f"against −{limit:.0f}", width="content")
                st.caption("0", width="content")
                st.caption(f"for +{limit:.0f}", width="content")
        percent = st.slider(
            "Opacity", 0, 100, 60, 5, format="%d %%", key="opacity", bind="query-params", width=150
        )
        grey = st.toggle(
            "What the network saw",
            key="grey",
            bind="query-params",
            help="The 48 x 48 grey pixels that the network was given.",
        )
    return percent / 100, grey


@st.fragment
def _card(
    picture: Picture, question: Question, face: int, scale: float, opacity: float, grey: bool
) -> None:
    analysis = picture.analyses[question]
    with st.container(border=True, key=f"card-{face + 1}", gap="small"):
        _head(picture, analysis, face)
        # Below what it changes, and read before: on the first run its choice may be in the address.
        body = st.container(horizontal=True, gap="medium", key=f"body-{face + 1}")
        chosen = _class_picker(analysis, face)
        with body:
            crop = analysis.crops.grey[face] if grey else analysis.crops.colour[face]
            evidence = analysis.predictions.evidence[face, EXPRESSIONS.index(chosen)]
            st.image(
                overlay(crop, evidence, scale, opacity),
                width=COLOUR_SIDE,
                output_format="JPEG",  # many times faster to make than PNG, under a moving slider
                alt=f"Face {face + 1} with the evidence for {chosen}.",
            )
            st.plotly_chart(
                _figure(picture, question, face),
                key=f"chart-{face + 1}",
                config={"displayModeBar": False, "staticPlot": False},
                alt=describe_face(analysis, face),
                width="stretch",
                height=COLOUR_SIDE,
            )


def _head(picture: Picture, analysis: Analysis, face: int) -> None:
    with st.container(
        horizontal=True, vertical_alignment="center", gap="xsmall", key=f"head-{face + 1}"
    ):
        st.image(badge(face + 1, face_colour(analysis, face)), alt=f"Face {face + 1}")
        uncertain = analysis.is_uncertain(face)
        st.markdown(
            f"##### {finding(analysis, face)}",
            help=UNCERTAIN_HELP if uncertain else CONFIDENCE_HELP,
            anchors=False,
            width="content",
        )
        for warning in analysis.warnings[face]:
            st.badge(warning, color="gray", help=WARNING_HELP.get(warning))
        for box in picture.added:
            if np.allclose(box, analysis.faces.xyxy[face], atol=0.5):
                removed = st.button(
                    "Remove",
                    key=f"remove-{face + 1}",
                    type="tertiary",
                    icon=":material/close:",
                    help="Removes this face, which you added.",
                )
                if removed:
                    remove_box(picture, box)
                    st.rerun()  # all of the page: this fragment alone would keep the card


def _class_picker(analysis: Analysis, face: int) -> str:
    predicted = EXPRESSIONS[int(analysis.predictions.top[face])]
    chosen = st.pills(
        "Evidence for",
        EXPRESSIONS,
        default=predicted,
        key=f"face{face + 1}",
        required=True,
        bind="query-params",
        wrap=True,
    )
    return chosen or predicted


def _figure(picture: Picture, question: Question, face: int) -> Any:
    """The chart of a face, made once: a slider redraws the card, never the bars."""
    key = (picture.digest, question, face)
    figures = st.session_state.setdefault("figures", {})
    if key not in figures:
        if len(figures) > 100:
            figures.clear()
        figures[key] = probabilities_chart(picture.analyses[question], face)
    return figures[key]
