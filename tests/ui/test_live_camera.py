"""The camera of the Live page: snapshots, for those who have no live connection or want none."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from fer_demo.ui import resources
from tests.ui.conftest import example_png
from tests.ui.live_component import LIVE, PHOTO, Component, press, status


def open_camera(live: AppTest, component: Component, connects: bool) -> None:
    """By the button; or by itself, where no live connection can be had."""
    if connects:
        live.button(key="live-camera-button").click().run()
    else:
        component.fails = TimeoutError()
        press(live, component)


@pytest.mark.parametrize("connects", [True, False])
def test_the_camera_is_closed_after_a_snapshot_until_the_next_click(
    live: AppTest, component: Component, connects: bool
) -> None:
    open_camera(live, component, connects)
    live.camera_input[0].set_value(("snap.jpg", example_png("one"), "image/jpeg")).run()
    assert not live.exception
    assert live.session_state["gallery"].pictures
    live.switch_page(LIVE).run()
    assert not live.get("camera_input")
    assert not status(live).startswith("**Cannot")


def test_a_snapshot_comes_without_older_refusals_and_ends_marking(
    live: AppTest, component: Component
) -> None:
    live.switch_page(PHOTO).run()
    live.file_uploader[0].set_value(("bad.jpg", b"no picture", "image/jpeg")).run()
    live.session_state["marking"] = True
    live.switch_page(LIVE).run()
    live.button(key="live-camera-button").click().run()
    live.camera_input[0].set_value(("snap.jpg", example_png("one"), "image/jpeg")).run()
    assert not live.exception
    pictures = live.session_state["gallery"]
    assert [picture.name for picture in pictures.pictures] == ["snapshot-1.jpg"]
    assert not pictures.refused
    assert not live.session_state["marking"]


@pytest.mark.parametrize("connects", [True, False])
def test_the_camera_can_be_closed_again(
    live: AppTest, component: Component, connects: bool
) -> None:
    open_camera(live, component, connects)
    assert live.get("camera_input")
    assert live.button(key="live-camera-button").label == "Close the camera"
    live.button(key="live-camera-button").click().run()
    assert not live.get("camera_input")
    assert live.button(key="live-camera-button").label == "Take a snapshot instead"


@pytest.mark.parametrize("connects", [True, False])
def test_the_camera_stays_closed_on_coming_back_to_the_page(
    live: AppTest, component: Component, connects: bool
) -> None:
    open_camera(live, component, connects)
    assert live.get("camera_input")
    live.switch_page(PHOTO).run()
    live.switch_page(LIVE).run()
    assert not live.get("camera_input")
    # A START that fails opens it as before.
    component.fails = TimeoutError()
    press(live, component)
    assert live.get("camera_input")


@pytest.mark.parametrize("host", ["me-fer.hf.space", ""])
def test_in_a_space_a_refused_camera_is_answered_with_a_link_to_a_tab_of_its_own(
    live: AppTest, component: Component, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("SPACE_HOST", host)
    resources.settings.clear()
    live.run()
    links = [c.value for c in live.caption if "in a tab of its own" in c.value]
    advice = component.told["translations"]["device_access_denied"]
    if host:
        assert len(links) == 1
        assert "(https://me-fer.hf.space/live)" in links[0]
        assert "with the link below" in advice
    else:
        assert not links
        assert "Allow it for this page in the address bar" in advice
