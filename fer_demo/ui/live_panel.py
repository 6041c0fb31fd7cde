"""Beside the video: how the stream is doing, what is read of each person, and the summary."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st

from fer_demo.charts import finding
from fer_demo.draw import badge, face_colour
from fer_demo.export import png
from fer_demo.live.charts import bars, rolling, shares, shares_in_words, strips
from fer_demo.live.recording import Timeline
from fer_demo.live.session import MAX_MOMENTS, LiveSession, Seen, Status
from fer_demo.ui import live_shared
from fer_demo.ui.callbacks import weakly
from fer_demo.ui.origin import short_name

CONNECT_SECONDS = 12.0
"""After this long without a frame the connection is given up; people wait no longer than 15 s."""

SILENT_SECONDS = 2.0
"""Frames come until STOP is pressed. A longer silence is told; no person ended a stream that was so
silent before its end."""

CHART_CONFIG = {"displayModeBar": False}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Why a stream ended that nobody stopped."""

    kind: str
    """"refused", "expired", "unreachable", "failed" or "lost"."""
    sentence: str


UNREACHABLE = Outcome(
    "unreachable",
    "No video arrived. Most often a firewall or the network blocks it, and a relay (TURN) "
    "would have to be set up on this server. Try another network, or take a snapshot here.",
)


LOST = Outcome("lost", "No more video came, so the connection may be lost. Press START to go on.")

FAILED = Outcome(
    "failed",
    "The video came, and could not be read here: something is wrong with this server. Press START "
    "to try again, or take a snapshot.",
)

UNANSWERED = 150
"""So many frames without a result are a fault, no delay: ten seconds at the rate that the page asks
for, six at the highest that frames which wait for a result come at."""


def panel(session: LiveSession | None, playing: bool) -> None:
    """Everything beside the video; runs twice a second while the stream does."""
    outcome: Outcome | None = st.session_state.get("live-outcome")
    status = session.status() if session else None
    if session and status and playing and outcome is None:
        outcome = _verdict(session, status)
        if outcome:
            st.session_state["live-outcome"] = outcome
            st.rerun()  # the whole page: the component must be told to stop
    _status_line(status, playing, outcome)
    if status and status.frames:  # a new stream: the one before it is not kept longer
        st.session_state.pop("live-earlier", None)
    if session is None or status is None:
        st.caption(
            "Press START below the video area and allow the camera. Each person gets a number that "
            "stays while they are in view."
        )
    elif playing:
        _live(session, status)
        st.caption(f"Model: {short_name(session.ask.classifier.name)}")
        if status.analysed:
            live_shared.settle("a stream")
    elif status.frames:
        _summary(session, status)


def _verdict(session: LiveSession, status: Status) -> Outcome | None:
    """Whether the stream has to end now, and why."""
    if status.ended:
        return None  # the component's state lags behind by a run
    if status.refused:
        return Outcome("refused", live_shared.places().sentence())
    if session.expired:
        return Outcome(
            "expired",
            f"The stream ended after {_clock(session.limit_seconds)}, since places are few. "
            "Press START to go on.",
        )
    if not status.frames and time.monotonic() - session.born > CONNECT_SECONDS:
        return UNREACHABLE
    if status.unanswered > UNANSWERED:
        return FAILED
    return None


def _status_line(status: Status | None, playing: bool, outcome: Outcome | None) -> None:
    """Always one of: ready, connecting, live, ended, cannot connect."""
    if outcome and outcome.kind == "unreachable":
        state, text = "cannot connect", outcome.sentence
    elif outcome and outcome.kind == "refused":
        state, text = "no free place", outcome.sentence
    elif playing and status and status.frames:
        text = f"{status.rate:.0f} frames/s, {1000 * status.delay:.0f} ms delay"
        if status.silent > SILENT_SECONDS:
            text = f"no picture from the camera for {status.silent:.0f} s"
        frames = f"{status.frames} frame{'' if status.frames == 1 else 's'}"
        state, text = "live", f"{text} · {frames}"
    elif playing:
        state, text = "connecting", "waiting for the first picture from the camera"
    elif outcome:
        state, text = "ended", outcome.sentence
    elif status and status.frames:
        state, text = "ended", f"after {_clock(status.seconds)}"
    elif status:
        state, text = "ended", "before a picture came"
    else:
        state, text = "ready", "the camera is off"
    with st.container(key="live-status", border=True):
        if outcome:
            st.markdown(f"**{state.capitalize()}.** {text}")
        else:
            st.markdown(f"**{state.capitalize()}:** {text}")
        if outcome and outcome.kind == "refused":
            st.page_link("fer_demo/ui/photo.py", label="Go to the Photo page")


def _live(session: LiveSession, status: Status) -> None:
    """Bars and the last minute of one person, and the way to keep a moment."""
    seen = session.seen
    timeline = session.recording.timeline()
    _say_if_full(session)
    now = _present(seen)
    recent = (
        timeline.people
        if status.seconds < 60
        else tuple(np.unique(timeline.person[timeline.seconds > status.seconds - 60]).tolist())
    )
    people = sorted({*now, *recent})
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{_count(len(now))} in view**", width="content")
        # A callback: a run of the body may be cut short by the next one, half a second later.
        st.button(
            "Save this moment",
            key="live-save",
            help=f"Keeps the picture with its boxes in memory, {MAX_MOMENTS} at most. Download it "
            "after STOP.",
            disabled=len(session.moments) >= MAX_MOMENTS,
            on_click=weakly(LiveSession.save_moment, session),
        )
        if session.moments:
            st.caption(f"{len(session.moments)} saved", width="content")
    if not people:
        st.caption("No face yet. Look at the camera, nearer or in better light.")
        return
    person = people[0]
    if len(people) > 1:
        chosen = st.session_state.get("live-person")
        if chosen not in people:
            st.session_state["live-person"] = now[0] if now else people[0]
        person = st.pills("Person", people, key="live-person", required=True)
    _person_now(session, seen, timeline, person)
    st.plotly_chart(
        rolling(timeline, person, status.seconds),
        key="live-rolling",
        config=CHART_CONFIG,
        alt=f"Probabilities of person {person} over the last minute.",
    )


def _say_if_full(session: LiveSession) -> None:
    full = session.recording.full_from
    if full is not None:
        st.caption(
            f"The record is full: what came after {_clock(full)} is in no chart and no file. "
            "STOP and START begin a new one."
        )


def _present(seen: Seen | None) -> list[int]:
    if seen is None or seen.analysis.faces.track_id is None:
        return []
    return seen.analysis.faces.track_id.tolist()


def _person_now(session: LiveSession, seen: Seen | None, timeline: Timeline, person: int) -> None:
    """The seven bars of a person, or when they were last seen."""
    now = _present(seen)
    if seen is not None and person in now:
        face = now.index(person)
        probs, colour = seen.analysis.predictions.probs[face], face_colour(seen.analysis, face)
        text = finding(seen.analysis, face)
        warnings = seen.analysis.warnings[face]
    else:
        mine = timeline.of(person)
        probs = mine.probs[-1] if len(mine) else np.full(7, 1 / 7, np.float32)
        text, colour, warnings = "Not in view", None, ()
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="head-live"):
        st.image(badge(person, colour), alt=f"Person {person}")
        st.markdown(f"##### {text}", anchors=False, width="content")
        for warning in warnings:
            st.badge(warning, color="gray")
    st.plotly_chart(
        bars(probs),
        key="live-bars",
        config=CHART_CONFIG,
        alt=f"Person {person}. {text}.",
    )


def _summary(session: LiveSession, status: Status) -> None:
    """What is left of a stream: who showed what, when; files; saved moments."""
    timeline = session.recording.timeline()
    _say_if_full(session)
    if not len(timeline):
        st.markdown("No face was seen. Look at the camera, nearer or in better light.")
    else:
        people = len(timeline.people)
        st.markdown(f"**{_count(people)} in {_clock(status.seconds)}**")
        for figure, key, alt in (
            (strips(timeline), "live-strips", "For each person, which expression was shown when."),
            (shares(timeline), "live-shares", "For each person, the share of time per expression."),
        ):
            st.plotly_chart(figure, key=key, config=CHART_CONFIG, alt=alt)
        for person in timeline.people:
            st.caption(shares_in_words(timeline, person))
    with st.container(horizontal=True, gap="xsmall", key="live-downloads"):
        st.download_button(
            "CSV", timeline.to_csv, "live.csv", "text/csv", key="live-csv", on_click="ignore"
        )
        st.download_button(
            "JSON",
            timeline.to_json,
            "live.json",
            "application/json",
            key="live-json",
            on_click="ignore",
        )
        last = session.last_picture()
        if last is not None:
            st.download_button(
                "Last picture (PNG)",
                partial(png, last),
                "live.png",
                "image/png",
                key="live-png",
                on_click="ignore",
            )
        if st.button("Clear", key="live-clear", help="Deletes this stream."):
            _clear()
            st.rerun()  # the whole page: this fragment would be given the same session again
    st.caption(
        'Kept in memory for this browser session, until "Clear" or a new stream. '
        "Nothing was written to disk."
    )
    _moments(session)


def _moments(session: LiveSession) -> None:
    if not session.moments:
        return
    st.markdown("**Saved moments**")
    with st.container(horizontal=True, gap="small", key="live-moments"):
        for index, moment in enumerate(session.moments):
            with st.container(width=168, gap="xxsmall"):
                st.image(moment.rgb, width=168, alt=f"The picture at {_clock(moment.seconds)}")
                st.download_button(
                    f"At {_clock(moment.seconds)}",
                    partial(png, moment.rgb),
                    f"live-{moment.seconds:.0f}s.png",
                    "image/png",
                    key=f"live-moment-{index}",
                    on_click="ignore",
                    width="stretch",
                )


def _clear() -> None:
    """Forget the stream and all that was seen."""
    for key in ("live-session", "live-outcome", "live-person"):
        st.session_state.pop(key, None)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _count(number: int) -> str:
    return f"{number} {'person' if number == 1 else 'people'}"
