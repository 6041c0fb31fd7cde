"""The Live page: the camera's video with numbered boxes, and beside it what is read from it.

The component keeps its own START and STOP, and is rendered on every run of the page: a run without
it would end the stream. What changes twice a second is in fragments, so that the video stays still.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import streamlit as st
from av import VideoFrame
from streamlit_webrtc import Translations, WebRtcMode, webrtc_streamer

from fer_demo.errors import BadSetting
from fer_demo.live.drawing import Look
from fer_demo.live.session import Ask, LiveSession
from fer_demo.live.turn import STUN
from fer_demo.types import EXPRESSIONS
from fer_demo.ui import live_shared, resources
from fer_demo.ui.callbacks import weakly
from fer_demo.ui.intake import add_snapshot
from fer_demo.ui.layout import notice, told
from fer_demo.ui.live_panel import LOST, SILENT_SECONDS, UNREACHABLE, Outcome, panel
from fer_demo.ui.origin import short_name

LOG = logging.getLogger("fer_demo.ui.live")  # the page is run under another name
PREDICTED = "the predicted one"

CONSTRAINTS: dict[Any, Any] = {
    "video": {"width": {"ideal": 640}, "height": {"ideal": 480}, "frameRate": {"ideal": 15}},
    "audio": False,  # the component would ask for the microphone too
}
WORDS: Translations = {
    "select_device": "Choose the camera",
    "device_ask_permission": "The browser asks whether this page may use the camera. Allow it.",
    "device_not_available": "No camera was found. Connect one and press START again, or take a "
    "snapshot on another device.",
    "device_access_denied": "The browser refused the camera. Allow it for this page in the address "
    "bar and press START again.",
    "media_api_not_available": "This browser gives no page access to a camera here. Open the app "
    "over https or on localhost, in a current browser.",
}
IN_A_FRAME: Translations = {
    "device_access_denied": "The browser refused the camera. Open this page in a tab of its own, "
    "with the link below, allow the camera in its address bar and press START.",
}
"""The address bar above a Space's frame is that of another site."""


def main() -> None:
    """The page from top to bottom."""
    st.markdown("# Read expressions as they happen", anchors=False)
    notice()
    if not _load():
        return
    left, right = st.columns([6, 5], gap="medium")
    with left:
        video, controls, camera = st.container(), st.container(), st.container()
    with controls:
        _controls()
    session, playing = _follow_stream()
    with video:
        playing = _stream(session, playing)
    st.session_state["live-playing"] = playing
    with camera:
        _snapshot(playing)
    with right:
        st.fragment(panel, run_every=0.5 if playing else None)(session, playing)


def _load() -> bool:
    """Load and warm everything before the component is there: its callback must never wait."""
    with told("live-load-again"):
        names = resources.models()
        name = st.session_state.get("live-model", st.query_params.get("live-model"))
        # The address holds what the menu shows.
        name = next((one for one in names if name in (one, short_name(one))), names[0])
        with st.spinner("Loading the face detector and the expression model"):
            with ThreadPoolExecutor(1) as pool:  # the detector may have to come over the network
                detector_to_be = pool.submit(live_shared.live_detector)
                resources.classifier(name)
                detector = detector_to_be.result()
            live_shared.settle(name)
        if detector.notice:
            st.info(detector.notice)
        return True
    return False


def _video() -> str:
    """The key of the component and of its state."""
    return f"live-video-{st.session_state.get('live-components', 0)}"


def _follow_stream() -> tuple[LiveSession | None, bool]:
    """The session that belongs to the state of the component: another one for each START."""
    state = getattr(st.session_state.get(_video()), "state", None)
    playing = state is not None and (state.playing or state.signalling)
    played = st.session_state.get("live-playing", False)
    session: LiveSession | None = st.session_state.get("live-session")
    if playing and not played:
        st.session_state.pop("live-outcome", None)
        st.session_state.pop("live-camera", None)
        earlier = st.session_state["live-earlier"] = session
        session = LiveSession(
            st.session_state["live-ask"],
            live_shared.worker(),
            live_shared.places(),
            resources.settings().live_seconds,
            # What nobody stopped goes on, so that no minute of it is lost.
            before=None if earlier is None or earlier.stopped else earlier,
        )
        st.session_state["live-session"] = session
        if not session.hold_place():
            st.session_state["live-outcome"] = Outcome("refused", live_shared.places().sentence())
            # Its offer is not taken up: that would cost as much time as a stream's.
            _another_component()
            playing = False
    if not playing and session is not None:
        status = session.status()
        if played and status.frames and status.silent > SILENT_SECONDS:
            st.session_state.setdefault("live-outcome", LOST)
        session.end()
        earlier = st.session_state.pop("live-earlier", None)
        if earlier is not None and not session.status().frames:
            session = st.session_state["live-session"] = earlier  # the START brought no stream
        session.stopped |= "live-outcome" not in st.session_state
    st.session_state["live-playing"] = playing
    return session, playing


def _stream(session: LiveSession | None, playing: bool) -> bool:
    """The component.

    Args:
        session: takes the frames.
        playing: by the component's state before it is rendered.

    Returns:
        Whether a stream runs or comes about. The component forgets one that was left with its page;
        until it is rendered its state speaks of that one still.
    """
    box, below = st.container(key="live-video-box"), st.container()
    host = resources.settings().space_host
    with below:  # the component must keep its place on the page
        servers = _servers()
        if host:
            st.caption(
                "If the browser refuses the camera, "
                f"[open this page in a tab of its own](https://{host}/live)."
            )
    try:
        with box:
            context = webrtc_streamer(
                key=_video(),
                mode=WebRtcMode.SENDRECV,
                rtc_configuration={"iceServers": servers},
                media_stream_constraints=CONSTRAINTS,
                # The library may hold what it was given for as long as the process lives, where no
                # connection came about.
                video_frame_callback=_receiving(session),
                on_video_ended=weakly(LiveSession.end, session) if session else None,
                async_processing=True,
                sendback_audio=False,
                # Where there is a reason to end the browser is told to.
                desired_playing_state=False
                if playing and "live-outcome" in st.session_state
                else None,
                media_toggle_controls=False,
                video_html_attrs={
                    "autoPlay": True,
                    "controls": False,
                    "muted": True,
                    "style": {"width": "100%", "borderRadius": "8px"},
                },
                translations={**WORDS, **IN_A_FRAME} if host else WORDS,
            )
    except Exception as error:  # no connection in ten seconds, mostly
        if not playing:
            raise
        LOG.error("The video component failed: %s", type(error).__name__)
        st.session_state["live-outcome"] = UNREACHABLE
        _another_component()
        st.rerun()
    return context.state.playing or context.state.signalling


def _servers() -> list[dict[str, Any]]:
    """The relays; where they cannot be had, what serves a direct connection."""
    try:
        return live_shared.relays().servers()
    except BadSetting as error:
        st.error(str(error), icon=":material/error:")
        return []  # whoever named servers of their own did not ask for anybody else's
    except ConnectionError:
        st.info(
            "The relay for live video could not be reached, so START may fail in some networks."
        )
        return [{"urls": [STUN]}]


def _another_component() -> None:
    """Drop the component with the offer that it would make again; the camera closes with it."""
    st.session_state["live-components"] = st.session_state.get("live-components", 0) + 1


def _receiving(session: LiveSession | None) -> Callable[[VideoFrame], VideoFrame]:
    """`session.receive`, for as long as the page holds the session."""
    held = weakref.ref(session) if session else None

    def receive(frame: VideoFrame) -> VideoFrame:
        there = held() if held else None
        return there.receive(frame) if there else frame

    return receive


@st.fragment
def _controls() -> None:
    """What changes while the stream runs; the page around it stays as it is.

    Who looks at another page in between finds it as it was.
    """
    names = resources.models()
    with st.container(key="live-controls", gap="small"):
        with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
            mirror = st.toggle(
                "Mirror",
                True,
                key="live-mirror",
                persist_state="session",
                help="As in a mirror.",
            )
            blur = st.toggle(
                "Blur the rest",
                key="live-blur",
                persist_state="session",
                help="Blurs everything but the faces that are found.",
            )
            overlay = st.toggle(
                "Evidence",
                key="live-overlay",
                persist_state="session",
                help="Purple places speak for the expression, teal ones against it.",
            )
            # Out of the way, so that on a phone the charts follow the video.
            settings = st.popover("Settings", key="live-settings")
        with settings:
            smoothing = st.slider(
                "Smoothing",
                0,
                100,
                40,
                5,
                format="%d %%",
                key="live-smoothing",
                persist_state="session",
                help="None answers at once and flickers. Strong averages over more than a second.",
            )
            opacity = st.slider(
                "Evidence opacity",
                0,
                100,
                60,
                5,
                format="%d %%",
                key="live-opacity",
                persist_state="session",
            )
            chosen = st.selectbox(
                "Evidence for",
                (PREDICTED, *EXPRESSIONS),
                key="live-class",
                persist_state="session",
            )
            name = names[0]
            if len(names) > 1:
                name = st.selectbox(
                    "Model",
                    names,
                    key="live-model",
                    bind="query-params",
                    format_func=short_name,
                )
    look = Look(
        overlay=overlay,
        expression=None if chosen == PREDICTED else chosen,
        opacity=opacity / 100,
        mirror=mirror,
        blur_others=blur,
    )
    with told("live-controls-again"):
        with st.spinner("Loading the expression model"):  # another one was chosen, perhaps
            classifier = resources.classifier(name)
        ask = Ask(live_shared.live_detector(), classifier, smoothing / 100, look)
        st.session_state["live-ask"] = ask
        if (session := st.session_state.get("live-session")) is not None:
            session.ask = ask


def _snapshot(playing: bool) -> None:
    """The way that needs no live connection; it opens by itself where that cannot be had."""
    if playing:
        return
    failed = st.session_state.get("live-outcome") == UNREACHABLE
    opened = st.session_state.get("live-camera", failed)
    st.button(
        "Close the camera" if opened else "Take a snapshot instead",
        key="live-camera-button",
        type="tertiary",
        on_click=lambda: st.session_state.update({"live-camera": not opened}),
    )
    if not opened:
        return
    file = st.camera_input("Snapshot", key="live-snapshot", resolution="720p")
    if file is not None:
        add_snapshot(file)
        if failed:
            del st.session_state["live-outcome"]
        st.switch_page("fer_demo/ui/photo.py")


if __name__ == "__main__":
    main()
