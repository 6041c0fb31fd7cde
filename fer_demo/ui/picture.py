"""The picture column: numbered boxes, a box to drag, and the other pictures."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import streamlit as st

from fer_demo.charts import finding, picture_chart
from fer_demo.draw import annotate, resized
from fer_demo.types import Analysis
from fer_demo.ui.callbacks import weakly
from fer_demo.ui.gallery import Box, Gallery, Picture

SHOWN_SIDE = 1280
"""Longest side of the picture on the page, px."""

MIN_BOX = 8
"""A face narrower than this, photo px, has nothing to read."""


def picture_column(pictures: Gallery, picture: Picture, analysis: Analysis) -> None:
    """The picture on show with its boxes and what can be done with it."""
    marking = bool(st.session_state.get("marking")) and not picture.whole
    if marking:
        _mark(picture, analysis)
    else:
        st.image(
            annotate(analysis, SHOWN_SIDE),
            width="stretch",
            output_format="JPEG",
            alt=describe_picture(analysis),
        )
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="under"):
        with st.container(width="stretch", gap=None):
            st.text(picture.shown_name)
            st.caption(_facts(picture, analysis))
        if picture.whole:
            st.button(
                "Look for faces again",
                key="unwhole",
                on_click=weakly(partial(set_whole, whole=False), picture),
            )
        elif len(analysis) or marking:
            st.button(
                "Cancel" if marking else "Add a missed face",
                key="mark",
                icon=None if marking else ":material/add_box:",
                on_click=set_marking,
                args=(not marking,),
            )
    if analysis.left_out:
        st.info(
            f"The {len(analysis)} largest faces are shown. {analysis.left_out} more were left out."
        )
    if len(pictures.pictures) > 1:
        _thumbnails(pictures)


def describe_picture(analysis: Analysis) -> str:
    """The annotated picture in words."""
    count = _count(len(analysis), "face")
    if not len(analysis):
        return f"The picture with {count}."
    found = "; ".join(f"{face + 1}: {finding(analysis, face)}" for face in range(len(analysis)))
    return f"The picture with {count}, numbered from left to right. {found}"


def set_whole(picture: Picture, whole: bool) -> None:
    """Treat the whole picture as one face, or look for faces again."""
    picture.whole = whole
    st.session_state["marking"] = False


def set_marking(on: bool) -> None:
    """Let a box be dragged on the picture, or no longer."""
    st.session_state["marking"] = on


def remove_box(picture: Picture, box: Box) -> None:
    """Forget a face that a person marked."""
    picture.added = tuple(one for one in picture.added if one != box)


def _facts(picture: Picture, analysis: Analysis) -> str:
    width, height = picture.photo.full_size or (picture.photo.width, picture.photo.height)
    count = "the whole picture as one face" if picture.whole else _count(len(analysis), "face")
    return f"{count}, {width} x {height} px, {analysis.seconds.get('total', 0):.2f} s"


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}" + ("" if number == 1 else "s")


def _mark(picture: Picture, analysis: Analysis) -> None:
    """The picture as a surface on which to drag; numbers for who cannot drag."""
    width, height = picture.photo.width, picture.photo.height
    st.markdown("**Drag a box around the face**, from forehead to chin.")
    rgb = (
        annotate(analysis, SHOWN_SIDE) if len(analysis) else resized(picture.photo.rgb, SHOWN_SIDE)
    )
    key = f"drag-{picture.digest[:12]}-{len(picture.added)}"
    st.plotly_chart(
        picture_chart(rgb, (width, height)),
        key=key,
        on_select=weakly(partial(_take_drag, key), picture),
        selection_mode="box",
        height=int(np.clip(500 * height / width, 220, 480)),
        config={"displayModeBar": False, "scrollZoom": False},
        alt="The picture. Drag a box on it, or type the box's edges below.",
    )
    with st.expander("Type the edges instead"), st.form("box", border=False):
        columns = st.columns(4, gap="xsmall")
        width, height = picture.photo.full_size or (width, height)  # as files name boxes
        edges = (
            ("Left", width, 0.3),
            ("Top", height, 0.3),
            ("Right", width, 0.7),
            ("Bottom", height, 0.7),
        )
        # By picture: an edge typed for another one says nothing about this.
        values = [
            column.number_input(
                f"{name}, px",
                0,
                limit,
                int(limit * share),
                key=f"edge-{name}-{picture.digest[:12]}",
            )
            for column, (name, limit, share) in zip(columns, edges, strict=True)
        ]
        if st.form_submit_button("Add this face"):
            left, top, right, bottom = (value / picture.photo.scale for value in values)
            if add_box(picture, (left, top, right, bottom)):
                st.rerun()


def _take_drag(key: str, picture: Picture) -> None:
    boxes = st.session_state[key].selection.box
    if boxes:
        xs, ys = boxes[0]["x"], boxes[0]["y"]
        add_box(picture, (min(xs), min(ys), max(xs), max(ys)))


def add_box(picture: Picture, box: Box) -> bool:
    """Add a marked face, cut to the photo; False, with a word of why, where it is too small."""
    limits = (picture.photo.width, picture.photo.height) * 2
    x1, y1, x2, y2 = (round(float(np.clip(v, 0, m)), 1) for v, m in zip(box, limits, strict=True))
    if x2 - x1 < MIN_BOX or y2 - y1 < MIN_BOX:
        # Also where the edges that were typed are the wrong way round.
        least = math.ceil(MIN_BOX * picture.photo.scale)  # of the file, as the edges are
        st.toast(
            f"That box is too small. Its right edge must be {least} px or more to the right of "
            "the left one, and its bottom edge as far below the top one.",
            icon=":material/info:",
        )
        return False
    if (x1, y1, x2, y2) not in picture.added:
        picture.added = (*picture.added, (x1, y1, x2, y2))
    st.session_state["marking"] = False
    return True


def _thumbnails(pictures: Gallery) -> None:
    with st.container(horizontal=True, wrap=False, gap="xsmall", key="thumbnails"):
        for index, picture in enumerate(pictures.pictures):
            with st.container(width=88, gap="xxsmall"):
                words = f"Picture {index + 1}: {picture.shown_name}"
                st.image(picture.thumbnail, width=88, alt=words)
                st.button(
                    str(index + 1),
                    key=f"show-{index}",
                    help="Show this picture",
                    type="primary" if index == pictures.shown else "secondary",
                    width="stretch",
                    on_click=weakly(_show, pictures, picture),
                )


def _show(pictures: Gallery, picture: Picture) -> None:
    pictures.show(picture)
    st.session_state["marking"] = False
