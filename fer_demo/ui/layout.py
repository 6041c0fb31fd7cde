"""What all pages share: name and style sheet, the notice before any picture, and told errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st
from starlette.formparsers import MultiPartParser

from fer_demo import log
from fer_demo.errors import Busy, FerDemoError
from fer_demo.images import MAX_BYTES

STYLE = Path(__file__).with_name("style.css")
ICON = Path(__file__).with_name("icon.svg")
"""A file: icons named by word are fetched from elsewhere by the browser."""

WORDMARK = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="196" height="28" viewBox="0 0 196 28">'
    '<g transform="translate(1 2)">'
    '<rect x="0" y="15" width="5" height="9" rx="1.5" fill="#0072B2"/>'
    '<rect x="7" y="9" width="5" height="15" rx="1.5" fill="#56B4E9"/>'
    '<rect x="14" y="1" width="5" height="23" rx="1.5" fill="#E69F00"/>'
    '<rect x="21" y="12" width="5" height="12" rx="1.5" fill="#7F7F7F"/></g>'
    '<text x="38" y="20" font-family="Helvetica, Arial, sans-serif" font-size="17" '
    'font-weight="600" fill="{ink}">Expression demo</text></svg>'
)

NOTICE_TITLE = "**This labels facial expressions. It does not know what anyone feels.**"
NOTICE = (
    "Only analyse people who agreed. Not for employees, applicants or students, nor for decisions "
    "about people. Pictures are sent to the server, processed in memory and not stored."
)


def frame() -> None:
    """The parts around every page."""
    log.to_stderr()
    _keep_uploads_in_memory()
    ink = "#E8ECF1" if st.context.theme.type == "dark" else "#1B222B"
    st.logo(WORDMARK.format(ink=ink), size="large")
    # The file is ours and constant; st.html sends a style sheet to the page's head.
    st.html(STYLE)


def close_cameras_elsewhere(page: str) -> None:
    """A camera control opens the camera: on a page that is come back to it needs a click again.

    Args:
        page: name in the address of the one that runs now.
    """
    if st.session_state.get("visited") != page:
        st.session_state.update({"visited": page, "camera": False, "live-camera": False})


def _keep_uploads_in_memory() -> None:
    """No upload may touch the disk: by default the server spools those over 1 MiB to a file.

    The first run of a page comes before its first upload, so this is in time.
    """
    MultiPartParser.spool_max_size = 2 * MAX_BYTES


def notice(*, results: bool = False) -> None:
    """What this is and is not; stands above the first upload or camera control.

    Regulation (EU) 2024/1689, Article 50(5): clearly, and at the latest at the first exposure.

    Args:
        results: whether results follow. Who read all of it above the control that brought them
            reads one line, so that a phone shows the picture; who opened a link to them did not.
    """
    if not results:
        st.session_state["notice-read"] = True
    elif st.session_state.get("notice-read"):
        with st.container(
            key="notice", border=True, horizontal=True, vertical_alignment="center", gap="xxsmall"
        ):
            st.markdown(NOTICE_TITLE)
            _more()
        return
    with st.container(key="notice", border=True, gap="xxsmall"):
        st.markdown(NOTICE_TITLE)
        text, link = st.columns([5, 1], vertical_alignment="bottom", gap="xsmall")
        text.markdown(NOTICE)
        with link.container(horizontal_alignment="right"):
            _more()


def _more() -> None:
    st.page_link("fer_demo/ui/about.py", label="Limits and privacy", width="content")


@contextmanager
def told(again: str) -> Iterator[None]:
    """Say what stops the block, as the sentence that it is.

    Args:
        again: key of the button that stands below it where another try may help.
    """
    try:
        yield
    except Busy as error:
        st.warning(str(error), icon=":material/hourglass_top:")
        st.button("Try again", key=again)  # any click runs the page again
    except FerDemoError as error:
        st.error(str(error), icon=":material/error:")
