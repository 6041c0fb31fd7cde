"""The Live page in-process: what it says and keeps as a stream starts, goes on and ends."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import av
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from fer_demo.bench.film import frame
from fer_demo.classifier import Predictor
from fer_demo.live.drawing import Look
from fer_demo.live.places import Places
from fer_demo.live.turn import STUN, Relays, Server
from fer_demo.ui import live_panel, live_shared, origin, resources
from fer_demo.ui.housekeeping import settle
from tests.conftest import until
from tests.ui.live_component import LIVE, PHOTO, Component, press, session, status


def video(k: int) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(frame(1, k / 15), format="rgb24")


def send(app: AppTest, k: int = 0) -> None:
    """A frame from the camera."""
    session(app).receive(video(k))


def downloads(app: AppTest) -> list[str]:
    return [button.label for button in app.get("download_button")]


def photo_links(app: AppTest) -> int:
    return sum(link.proto.label == "Go to the Photo page" for link in app.get("page_link"))


def test_the_page_begins_with_its_heading(live: AppTest) -> None:
    assert live.markdown[0].value == "# Read expressions as they happen"


def test_a_stream_whose_place_was_taken_in_a_silence_is_told_so_and_stopped(
    live: AppTest, component: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    places = Places(1, lambda: now[0])
    monkeypatch.setattr(live_shared, "places", lambda: places)
    press(live, component)
    send(live)
    assert status(live.run()).startswith("**Live:**")
    now[0] += 6
    assert places.hold("somebody else")
    send(live)
    live.run()
    assert status(live).startswith("**No free place.** The only live place is taken.")
    assert photo_links(live) == 1
    assert component.told["desired_playing_state"] is False
    press(live, component, start=False)
    assert status(live).startswith("**No free place.**")  # and the summary below


def test_who_left_in_mid_stream_and_comes_back_late_reads_no_reason(
    live: AppTest, component: Component
) -> None:
    press(live, component)
    send(live)
    live.switch_page(PHOTO).run()
    component.told["on_video_ended"]()
    component.left = True
    session(live).limit_seconds = 0.0
    live.switch_page(LIVE).run()
    assert status(live).startswith("**Ended:** after")
    assert "live-outcome" not in live.session_state
    before = session(live)
    assert session(press(live, component)) is not before


def test_nobody_waits_longer_than_15_seconds_for_a_connection_that_cannot_be_had(
    live: AppTest, component: Component
) -> None:
    press(live, component)
    session(live).born -= 1
    assert status(live.run()).startswith("**Connecting:**")
    session(live).born -= 14
    assert status(live.run()).startswith("**Cannot connect.** No video arrived.")
    assert component.told["desired_playing_state"] is False


def test_a_component_that_fails_is_a_connection_that_cannot_be_had(
    live: AppTest, component: Component
) -> None:
    key = component.told["key"]
    component.fails = TimeoutError("no answer in 10 seconds")
    press(live, component)
    assert not live.exception
    assert status(live).startswith("**Cannot connect.** No video arrived.")
    assert session(live).status().ended
    assert live.get("camera_input")
    # The component that made the offer is gone, and START works again.
    assert component.told["key"] != key
    component.fails = None
    press(live, component)
    assert status(live).startswith("**Connecting:**")


def test_a_start_without_a_place_is_answered_at_once_and_its_offer_dropped(
    live: AppTest, component: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = Places(1, lambda: 0.0)  # however long the page takes
    assert places.hold("somebody else")
    monkeypatch.setattr(live_shared, "places", lambda: places)
    key = component.told["key"]
    press(live, component)
    assert status(live).startswith("**No free place.** The only live place is taken.")
    assert photo_links(live) == 1
    assert component.told["key"] != key, "whose offer would be answered, after seconds"
    assert session(live).status().ended
    places.free("somebody else")
    press(live, component)
    assert status(live).startswith("**Connecting:**")


def test_a_lost_connection_is_no_stop_and_start_goes_on_from_it(
    live: AppTest, component: Component
) -> None:
    press(live, component)
    send(live)
    session(live).save_moment()
    before = session(live)
    before._last -= 5  # the browser gives a connection up after some seconds
    press(live, component, start=False)
    assert status(live).startswith("**Ended.** No more video came")
    press(live, component)
    assert session(live) is not before
    assert session(live).recording is before.recording
    assert session(live).moments == before.moments


def test_a_stop_that_the_page_hears_of_late_is_a_stop(
    live: AppTest, component: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_panel, "SILENT_SECONDS", 60.0)  # a busy machine is not silent
    press(live, component)
    send(live)
    before = session(live)
    component.told["on_video_ended"]()  # the browser hangs up at once
    before._last -= 100  # and the page was busy with another model, say
    press(live, component, start=False)
    assert status(live).startswith("**Ended:** after")
    press(live, component)
    assert session(live).recording is not before.recording


def test_frames_that_all_fail_are_the_servers_fault_and_said_to_be(
    live: AppTest, component: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    press(live, component)
    monkeypatch.setattr(live_panel, "UNANSWERED", 3)
    monkeypatch.setattr(session(live), "analyse", fail)
    for k in range(3):
        send(live, k)
    assert status(live.run()).startswith("**Live:**")
    send(live, 3)
    live.run()
    assert component.told["desired_playing_state"] is False
    press(live, component, start=False)
    assert status(live).startswith("**Ended.** The video came, and could not be read here")


def test_nothing_that_the_component_was_given_keeps_a_stream_in_memory(
    live: AppTest, component: Component
) -> None:
    press(live, component)
    send(live)
    given = component.told
    press(live, component, start=False)
    gone = weakref.ref(session(live))
    live.button(key="live-clear").click().run()
    until(lambda: (settle(), gone() is None)[1])  # the worker may be at its last frame
    frame_of_nobody = video(1)
    assert given["video_frame_callback"](frame_of_nobody) is frame_of_nobody
    given["on_video_ended"]()


def test_a_link_names_a_model_as_the_menu_does(
    app: AppTest, component: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, classifier = [], resources.classifier

    def watch(name: str) -> Predictor:
        loaded.append(name)
        return classifier(name)

    monkeypatch.setattr(resources, "classifier", watch)
    monkeypatch.setattr(origin, "short_name", lambda name: f"short {name}")
    app.query_params["live-model"] = "short unsure"
    app.run().switch_page(LIVE).run()
    assert not app.exception
    assert set(loaded) == {"unsure"}


def test_a_provider_that_is_silent_is_asked_once_a_minute_and_direct_connections_stay_possible(
    live: AppTest, component: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, now = [], [0.0]

    def silent() -> list[Server]:
        asked.append(True)
        raise ConnectionError

    relays = Relays(silent, lambda: now[0])
    monkeypatch.setattr(live_shared, "relays", lambda: relays)
    for _ in range(3):
        live.run()
    assert len(asked) == 1
    assert component.told["rtc_configuration"] == {"iceServers": [{"urls": [STUN]}]}
    assert sum("relay" in info.value for info in live.info) == 1
    now[0] += 60
    live.run()
    assert len(asked) == 2


def test_relays_that_are_set_wrongly_are_told_and_nobody_elses_are_asked(
    live: AppTest, component: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FER_ICE_SERVERS", "5")
    live_shared.relays.clear()
    live.run()
    assert not live.exception
    assert [error.value[:30] for error in live.error] == ["FER_ICE_SERVERS must be a JSON"]
    assert not any("relay" in info.value for info in live.info)
    assert component.told["rtc_configuration"] == {"iceServers": []}


def test_start_goes_on_where_the_page_ended_the_stream_and_anew_after_stop(
    live: AppTest, component: Component
) -> None:
    press(live, component)
    send(live)
    send(live, 1)
    record = session(live).recording
    session(live).limit_seconds = 0.0
    live.run()
    assert component.told["desired_playing_state"] is False
    press(live, component, start=False)
    assert "Press START to go on." in status(live)
    press(live, component)
    assert status(live).startswith("**Connecting:**")
    assert session(live).recording is record
    press(live, component, start=False)
    # Nothing came, and what there was before is still there.
    assert status(live).startswith("**Ended:** after")
    assert downloads(live) == ["CSV", "JSON", "Last picture (PNG)"]
    (kept,) = [caption.value for caption in live.caption if "in memory" in caption.value]
    assert kept.startswith('Kept in memory for this browser session, until "Clear"')
    press(live, component)
    assert session(live).recording is not record


@pytest.mark.parametrize("unreachable", [False, True], ids=["no free place", "cannot connect"])
def test_a_start_that_brings_no_stream_takes_nothing_of_the_one_before(
    live: AppTest, component: Component, monkeypatch: pytest.MonkeyPatch, unreachable: bool
) -> None:
    monkeypatch.setattr(live_panel, "SILENT_SECONDS", 60.0)  # a busy machine is not silent
    press(live, component)
    send(live)
    session(live).save_moment()
    press(live, component, start=False)
    before, kept = session(live), downloads(live)
    assert kept == ["CSV", "JSON", "Last picture (PNG)", "At 0:00"]
    places = Places(1, lambda: 0.0)  # however long the page takes
    assert places.hold("somebody else")
    if unreachable:
        component.fails = TimeoutError()
    else:
        monkeypatch.setattr(live_shared, "places", lambda: places)
    press(live, component)
    press(live, component, start=False)
    said = "Cannot connect" if unreachable else "No free place"
    assert status(live).startswith(f"**{said}.**")
    assert downloads(live) == kept
    # It was stopped, so that nothing goes on from it, and the next picture ends its keeping.
    places.free("somebody else")
    component.fails = None
    press(live, component)
    send(live.run())
    live.run()
    assert session(live).recording is not before.recording
    assert session(live).moments == []
    assert "live-earlier" not in live.session_state


@pytest.mark.parametrize(("seconds", "said"), [(20, "0:20"), (60, "1:00"), (600, "10:00")])
def test_a_stream_that_ended_by_itself_says_after_how_long(
    live: AppTest, component: Component, seconds: float, said: str
) -> None:
    press(live, component)
    send(live)
    session(live).limit_seconds = seconds
    session(live)._first -= seconds
    live.run()
    press(live, component, start=False)
    assert f"The stream ended after {said}, since places are few." in status(live)


def test_the_model_in_use_is_named_while_no_face_is_seen(
    live: AppTest, component: Component
) -> None:
    press(live, component)
    name = session(live).ask.classifier.name
    assert f"Model: {name}" in [caption.value for caption in live.caption]


def test_settings_reach_a_running_stream_without_another_start(
    live: AppTest, component: Component
) -> None:
    press(live, component)
    running = session(live)
    live.slider(key="live-smoothing").set_value(85).run()
    live.slider(key="live-opacity").set_value(25).run()
    live.selectbox(key="live-class").set_value("sad").run()
    live.selectbox(key="live-model").set_value("sure").run()
    live.toggle(key="live-overlay").set_value(True).run()
    live.toggle(key="live-blur").set_value(True).run()
    live.toggle(key="live-mirror").set_value(False).run()
    assert not live.exception
    assert session(live) is running
    assert running.ask.smoothing == 0.85
    assert running.ask.classifier.name == "sure"
    assert running.ask.look == Look(True, "sad", 0.25, mirror=False, blur_others=True)
    before = running.status().frames
    component.told["video_frame_callback"](video(0))
    assert running.status().frames == before + 1


def test_whoever_chooses_another_model_sees_that_it_is_loaded(
    live: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, loaded = [], []
    classifier = resources.classifier

    @contextmanager
    def spinner(text: str) -> Iterator[None]:
        shown.append(text)
        yield
        shown.remove(text)

    def watch(name: str) -> Predictor:
        loaded.append((name, *shown))
        return classifier(name)

    monkeypatch.setattr(st, "spinner", spinner)
    monkeypatch.setattr(resources, "classifier", watch)
    live.selectbox(key="live-model").set_value("unsure").run()
    # By the page as it begins, and by the controls, which a choice runs alone.
    assert loaded == [
        ("unsure", "Loading the face detector and the expression model"),
        ("unsure", "Loading the expression model"),
    ]


def test_settings_survive_a_change_of_page(live: AppTest) -> None:
    live.slider(key="live-smoothing").set_value(85)
    live.slider(key="live-opacity").set_value(25)
    live.selectbox(key="live-class").set_value("sad")
    live.toggle(key="live-overlay").set_value(True)
    live.toggle(key="live-blur").set_value(True)
    live.toggle(key="live-mirror").set_value(False).run()
    live.switch_page(PHOTO).run()
    live.switch_page(LIVE).run()
    assert not live.exception
    ask = live.session_state["live-ask"]
    assert ask.smoothing == 0.85
    assert ask.look == Look(True, "sad", 0.25, mirror=False, blur_others=True)
