"""The three ways in: upload, camera, example."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from fer_demo.draw import resized
from fer_demo.examples import EXAMPLES, Example
from fer_demo.images import ACCEPTED, MAX_BYTES
from fer_demo.ui import resources
from fer_demo.ui.callbacks import weakly
from fer_demo.ui.cards import forget_cards
from fer_demo.ui.gallery import Gallery, Picture, forget_upload, gallery
from fer_demo.ui.picture import set_marking


def intake() -> None:
    """The controls that bring pictures; large on an empty page, one row beside results."""
    pictures = gallery()
    empty = not pictures.pictures
    with st.container(key="intake", gap="small"):
        with st.container(key="ways", horizontal=True, vertical_alignment="center", gap="xsmall"):
            _uploader(pictures)
            _camera_button()
            if not empty:
                with st.popover("Examples", icon=":material/image:"):
                    for example in EXAMPLES:
                        _example_button(example)
                if len(pictures.pictures) > 1 and pictures.picture is not None:
                    st.button(
                        "Remove",
                        # Of this picture: a second click would remove the next one with it.
                        key=f"remove-{pictures.picture.digest[:12]}",
                        icon=":material/close:",
                        help="Deletes the picture on show and what was found in it.",
                        on_click=weakly(_remove, pictures, pictures.picture),
                    )
                st.button(
                    "Clear",
                    key="clear",
                    icon=":material/delete:",
                    help="Deletes the pictures on this page and what was found in them.",
                    on_click=clear,
                )
        if empty:
            _examples()
        if st.session_state.get("camera"):
            _camera(pictures)


def example_by_id(example_id: str | None) -> Example | None:
    """The example that a link names."""
    return next((example for example in EXAMPLES if example.id == example_id), None)


def clear() -> None:
    """Forget everything, and close the camera."""
    gallery().clear()
    forget_cards()
    st.session_state["camera"] = False
    set_marking(False)


def _remove(pictures: Gallery, picture: Picture) -> None:
    set_marking(False)
    st.session_state.pop("figures", None)  # charts of its faces
    pictures.remove(picture)


def _gallery_for_more() -> Gallery:
    """The gallery as the next pictures find it.

    A box was to be dragged on the picture that goes out of sight, and earlier refusals were read.
    """
    set_marking(False)
    pictures = gallery()
    pictures.forget_refusals()
    return pictures


@contextmanager
def _reading(pictures: Gallery) -> Iterator[None]:
    """Files are read in the block, and then the first of them is on show."""
    first = len(pictures.pictures)
    with resources.slots().visit():  # who had the first one read has the others read, too
        yield
    if len(pictures.pictures) > first:
        pictures.show(pictures.pictures[first])


def try_again() -> None:
    """Read what found no place before."""
    set_marking(False)
    with _reading(gallery()):
        gallery().try_again()


def _examples() -> None:
    st.markdown("Or try an example:")
    with st.container(key="examples", width=760):
        columns = st.columns(len(EXAMPLES), gap="xsmall", wrap=False)
        for column, example in zip(columns, EXAMPLES, strict=True):
            with column:
                st.image(_thumbnail(example.id, example), alt=example.alt, width="stretch")
                _example_button(example)


def _uploader(pictures: Gallery) -> None:
    # Of any type: what cannot be read is refused by name, with a word of what to do.
    key = f"upload-{pictures.uploader_round}"
    st.file_uploader(
        f"Pictures of faces: {ACCEPTED}, up to {MAX_BYTES // 10**6} MB each",
        accept_multiple_files=True,
        key=key,
        label_visibility="collapsed",
        on_change=_take_uploads,
        args=(key,),
    )


def _take_uploads(key: str) -> None:
    seen = gallery().seen_uploads
    files = [file for file in st.session_state[key] or () if file.file_id not in seen]
    if not files:  # told of again, since the server's copies are gone: nothing is new
        return
    pictures = _gallery_for_more()
    with _reading(pictures):
        for file in files:
            seen.add(file.file_id)
            pictures.add_file(file.getvalue(), file.name)
            forget_upload(file.file_id)


def _example_button(example: Example) -> None:
    st.button(
        example.title, key=f"example-{example.id}", width="stretch", on_click=_take_example,
        args=(example,),
    )  # fmt: skip


def _take_example(example: Example) -> None:
    _gallery_for_more().add_example(example)


@st.cache_data(show_spinner=False)
def _thumbnail(example_id: str, _example: Example) -> NDArray[np.uint8]:
    picture = _example.make()
    height, width = picture.shape[:2]
    side = min(height, width * 3 // 4)
    top, left = (height - side) // 4, (width - side * 4 // 3) // 2
    return resized(picture[top : top + side, left : left + side * 4 // 3], 320)


def _camera_button() -> None:
    open_now = bool(st.session_state.get("camera"))
    st.button(
        "Close the camera" if open_now else "Take a snapshot",
        key="camera-button",
        icon=":material/photo_camera:",
        on_click=_set_camera,
        args=(not open_now,),
    )


def _set_camera(opened: bool) -> None:
    st.session_state["camera"] = opened


def _camera(pictures: Gallery) -> None:
    """Mounted after a click only: a mounted camera control opens the camera."""
    key = f"snapshot-{pictures.uploader_round}"
    st.camera_input(
        "Snapshot", key=key, resolution="720p", on_change=_take_snapshot, args=(key,), width=560
    )


def _take_snapshot(key: str) -> None:
    file = st.session_state[key]
    if file is None:
        return
    add_snapshot(file)
    gallery().uploader_round += 1
    st.session_state["camera"] = False


def add_snapshot(file: Any) -> None:
    """Read what a camera control took, as the next picture of the gallery."""
    pictures = _gallery_for_more()
    pictures.snapshots += 1
    pictures.add_file(file.getvalue(), f"snapshot-{pictures.snapshots}.jpg")
    forget_upload(file.file_id)
