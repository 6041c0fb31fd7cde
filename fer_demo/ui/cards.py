"""The cards: for each face its number, its expression, seven bars and the heat map for one.

A change of class, opacity or crop redraws pictures from the maps that are there; the network never
runs for it, and the rest of the page stays as it is.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from fer_demo.answers import Answers
from fer_demo.charts import (
    describe_face,
    finding,
    probabilities_chart,
    regions_chart,
    regions_finding,
    unbroken,
)
from fer_demo.draw import badge, face_colour, overlay
from fer_demo.regions import region_shares
from fer_demo.saliency import COARSEST
from fer_demo.types import COLOUR_SIDE, EXPRESSIONS, Analysis
from fer_demo.ui import resources
from fer_demo.ui.gallery import Picture, Question
from fer_demo.ui.heatmaps import METHODS, NOTHING, Look, look_controls, maps_of, what
from fer_demo.ui.how_sure import like_this, said_limit
from fer_demo.ui.layout import told
from fer_demo.ui.picture import remove_box

CARDS_A_PAGE = 5

CONFIDENCE_HELP = (
    "Calibrated: of 100 faces with a confidence of 80 %, people give the same label to about 80. "
    "It is measured on FER2013 pictures and says less about very different ones."
)
UNCERTAIN_HELP = (
    "An answer needs a confidence of {limit} here, and the most probable expression has {reached}. "
    "The two nearest are named instead."
)
WARNING_HELP = {
    "small face": "The face is small in the picture, so the network sees an enlarged one.",
    "blurred": "The face has less detail than the faces this network learned from.",
    "dark": "The face is darker than the faces this network learned from.",
    "too bright": "The face is brighter than the faces this network learned from.",
    "little contrast": "The face has hardly any light and shade.",
    "turned away": "The face is not seen from the front.",
    "unclear face": "The detector is less sure of this face than of 99 in 100 test faces. A mask, "
    "dark glasses, a drawing or a statue can be the reason.",
    "unclear mouth": "Nothing like lips or teeth stands out where the mouth should be. A mask or a "
    "hand can be the reason: the answer then rests on eyes and brows.",
    "not detected": "This box was marked, or is the whole picture: the detector does not vouch for "
    "it. If there is no face in it, the answer means nothing.",
    "may be a drawing": "The face has wide areas without any shading, as drawings have. The "
    "network knows photographs only.",
}


@st.fragment
def cards(
    picture: Picture,
    question: Question,
    analysis: Analysis,
    answers: Answers | None,
    pager: DeltaGenerator | None,
) -> None:
    """All cards of one picture.

    Args:
        analysis: the picture's answer to `question`, under the confidence that is asked for.
        answers: the model's record on the test pictures, where it has one.
        pager: a place beside the picture, where the cards come in pages.
    """
    _begin_anew_for_other_faces((picture.digest, question), analysis)
    # One visit: who had the maps of all faces is not refused that of one card.
    with told("again-maps"), resources.slots().visit():
        look, scale = look_controls(picture, question.model, analysis)
        first = 0
        if pager is not None:
            with pager:
                first = _first_card(len(analysis))
        for face in range(first, min(first + CARDS_A_PAGE, len(analysis))):
            _card(picture, question, analysis, answers, face, look, scale)


def _first_card(count: int) -> int:
    """The first face (from 0) of the page of cards that was picked."""
    pages = -(-count // CARDS_A_PAGE)
    page = st.pagination(pages, key="page", bind="query-params", max_visible_pages=5)
    first = (page - 1) * CARDS_A_PAGE
    st.caption(f"Cards of faces {first + 1} to {min(first + CARDS_A_PAGE, count)} of {count}")
    return first


def forget_cards() -> None:
    """Charts, and what was chosen on cards."""
    _forget_choices(0)
    for key in ("figures", "cards_for", "page"):
        st.session_state.pop(key, None)


def _forget_choices(kept: int) -> None:
    """Of all cards but the first few."""
    for key in [key for key in map(str, st.session_state) if key.startswith("face")]:
        if int(key.removeprefix("face")) > kept:
            del st.session_state[key]


def _begin_anew_for_other_faces(now: tuple[str, Question], analysis: Analysis) -> None:
    """Face 2 of another picture, or of another answer, is another face: its choice is not kept."""
    before: tuple[str, Question] | None = st.session_state.get("cards_for")
    if before is not None and before != now:
        _forget_choices(len(analysis))
        # Were these deleted too, the address would give them back: the browser sends it each time.
        if (before[0], replace(before[1], model=now[1].model)) != now:
            st.session_state["page"] = 1  # of the same faces another model shows the same page
        for face in range(len(analysis)):
            st.session_state[_class_key(face)] = _predicted(analysis, face)
    st.session_state["cards_for"] = now


@st.fragment
def _card(
    picture: Picture,
    question: Question,
    analysis: Analysis,
    answers: Answers | None,
    face: int,
    look: Look,
    scale: float,
) -> None:
    place = st.container(border=True, key=f"card-{face + 1}", gap="small")
    with place, told(f"again-{face + 1}"):
        with st.container(gap=None):
            _head(picture, analysis, face)
            like_this(analysis, answers, face)
        # Below what it changes, and read before: on the first run its choice may be in the address.
        body = st.container(horizontal=True, gap="medium", key=f"body-{face + 1}")
        chosen = _class_picker(analysis, face)
        (values,) = maps_of(picture, question.model, analysis, look, [face], [chosen], st.empty())
        with body:
            with st.container(width=COLOUR_SIDE, gap="xxsmall"):
                _map(analysis, face, values, what(analysis, look, face, chosen), look, scale)
            st.plotly_chart(
                _figure(picture, question, analysis, face),
                key=f"chart-{face + 1}",
                config={"displayModeBar": False},
                alt=describe_face(analysis, face),
                width="stretch",
                height=COLOUR_SIDE,
            )
        if look.regions:
            _regions(analysis, face, values, what(analysis, look, face, chosen), look)


def _map(
    analysis: Analysis,
    face: int,
    values: NDArray[np.float32],
    subject: str,
    look: Look,
    scale: float,
) -> None:
    """The crop under the map (h, w) for `subject`."""
    crop = analysis.crops.grey[face] if look.grey else analysis.crops.colour[face]
    st.image(
        overlay(crop, values, scale, look.opacity, grid=look.grid),
        width=COLOUR_SIDE,
        output_format="JPEG",  # many times faster to make than PNG, under a moving slider
        alt=f"Face {face + 1} with the {METHODS[look.method].name} map for {subject}.",
    )
    said = [subject.capitalize()] if look.against != NOTHING else []
    if look.grid:
        height, width = values.shape
        said.append(METHODS[look.method].places.format(width=width, height=height))
    if said:
        st.caption(", ".join(said))
    if min(values.shape) < COARSEST:
        st.caption("Too few places to say where on the face. Choose another heat map.")


def _regions(
    analysis: Analysis, face: int, values: NDArray[np.float32], subject: str, look: Look
) -> None:
    one = np.array([face])
    (shares,) = region_shares(values[None], analysis.faces[one], analysis.crops[one])
    if shares is None:
        st.caption("No regions: the detector did not say where eyes, nose and mouth are.")
        return
    said = regions_finding(shares, subject)
    st.caption(unbroken(said), help="Purple: for. Teal: against. All bars together are 100 %.")
    st.plotly_chart(
        regions_chart(shares, signed=look.signed),
        key=f"regions-{face + 1}",
        config={"displayModeBar": False},
        alt=said,
        width="stretch",
    )


def _head(picture: Picture, analysis: Analysis, face: int) -> None:
    with st.container(
        horizontal=True, vertical_alignment="center", gap="xsmall", key=f"head-{face + 1}"
    ):
        st.image(badge(face + 1, face_colour(analysis, face)), alt=f"Face {face + 1}")
        # Down, or 77.46 % would be said to be 77.5 % where 77.5 % are needed.
        reached = math.floor(1000 * float(analysis.predictions.confidence[face])) / 1000
        uncertain = UNCERTAIN_HELP.format(
            limit=said_limit(analysis.uncertain_below), reached=said_limit(reached)
        )
        st.markdown(
            f"##### {unbroken(finding(analysis, face))}",
            help=uncertain if analysis.is_uncertain(face) else CONFIDENCE_HELP,
            anchors=False,
            width="content",
        )
        for warning in analysis.warnings[face]:
            st.badge(warning, color="gray", help=WARNING_HELP.get(warning))
        for box in picture.added:
            if np.allclose(box, analysis.faces.xyxy[face], atol=0.5):
                removed = st.button(
                    "Remove",
                    # Of this box: a second click would remove what is next then.
                    key="-".join([f"remove-{face + 1}", *(f"{edge:g}" for edge in box)]),
                    type="tertiary",
                    icon=":material/close:",
                    help="Removes this face, which you added.",
                )
                if removed:
                    remove_box(picture, box)
                    st.rerun()  # all of the page: this fragment alone would keep the card
                break  # of boxes that are nearly the same, one at a time


def _class_picker(analysis: Analysis, face: int) -> int:
    """Index of the expression that the map is to speak for."""
    predicted = _predicted(analysis, face)
    chosen = st.pills(
        "Heat map for",
        EXPRESSIONS,
        default=predicted,
        key=_class_key(face),
        required=True,
        bind="query-params",
        wrap=True,
    )
    return EXPRESSIONS.index(chosen or predicted)


def _class_key(face: int) -> str:
    """In the session and in the address."""
    return f"face{face + 1}"


def _predicted(analysis: Analysis, face: int) -> str:
    return EXPRESSIONS[int(analysis.predictions.top[face])]


def _figure(picture: Picture, question: Question, analysis: Analysis, face: int) -> Any:
    """The chart of a face, made once: a slider redraws the card, never the bars."""
    key = (picture.digest, question, face)
    figures = st.session_state.setdefault("figures", {})
    if key not in figures:
        if len(figures) > 100:
            figures.clear()
        figures[key] = probabilities_chart(analysis, face)
    return figures[key]
