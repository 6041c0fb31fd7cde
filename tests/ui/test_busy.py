"""The Photo page when all places are taken, and what its sessions share."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from streamlit.testing.v1 import AppTest

from fer_demo import pipeline
from fer_demo.slots import SENTENCE, Slots
from fer_demo.ui import resources
from fer_demo.ui.gallery import Gallery
from tests.conftest import ROOT
from tests.ui.conftest import TIMEOUT, example_png, wall_png
from tests.ui.test_photo_page import click, headings, texts, upload


@pytest.fixture
def only_place(monkeypatch: pytest.MonkeyPatch) -> Slots:
    """One place and no queue."""
    slots = Slots(1, 0)
    monkeypatch.setattr(resources, "slots", lambda: slots)
    return slots


@pytest.fixture
def taken(only_place: Slots) -> Iterator[threading.Event]:
    """Somebody holds the place until the event is set."""
    release, held = threading.Event(), threading.Event()

    def hold() -> None:
        with only_place.take():
            held.set()
            release.wait(TIMEOUT)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    yield release
    release.set()
    thread.join()


def test_a_busy_server_says_so_and_answers_later(
    app: AppTest, taken: threading.Event, only_place: Slots
) -> None:
    app.run()
    click(app, "example-one")
    assert not app.exception
    assert [warning.value for warning in app.warning] == [SENTENCE]
    taken.set()
    while only_place.taken:
        time.sleep(0.001)
    click(app, "again")
    assert not app.warning
    assert len(headings(app)) == 1


def test_a_heat_map_waits_for_a_place_too(app: AppTest, only_place: Slots) -> None:
    click(app.run(), "example-one")
    with only_place.take():
        app.radio(key="map-method").set_value("occlusion").run()
        assert not app.exception
        assert [warning.value for warning in app.warning] == [SENTENCE]
        assert not headings(app)
    click(app, "again-maps")
    assert not app.warning
    assert len(headings(app)) == 1


def test_a_comparison_waits_for_a_place_too(app: AppTest, only_place: Slots) -> None:
    click(app.run(), "example-one")
    with only_place.take():
        app.toggle(key="compare").set_value(True).run()
        assert not app.exception
        assert [warning.value for warning in app.warning] == [SENTENCE]
    click(app, "again-compare")
    assert not app.warning
    assert any(words in texts(app) for words in ("Both models say", "They disagree"))


def test_an_upload_that_finds_no_place_is_named(app: AppTest, taken: threading.Event) -> None:
    upload(app.run(), ("a.png", example_png("one")))
    assert not app.exception
    assert f"a.png was not read. {SENTENCE}" in texts(app)


def test_the_wait_for_a_place_is_no_part_of_the_time_to_read_a_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Late(Slots):
        @contextmanager
        def take(self) -> Iterator[None]:
            time.sleep(2)
            with super().take():
                yield

    monkeypatch.setattr(resources, "slots", lambda: Late(1))
    gallery = Gallery()
    gallery.add_file(wall_png(), "wall.png")
    assert gallery.pictures[0].decode_seconds < 2


def test_a_failure_frees_the_place_and_leaves_the_networks_as_they_were(
    app: AppTest, only_place: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    click(app.run(), "example-one")
    before = next(iter(app.session_state["gallery"].picture.analyses.values()))
    click(app, "clear")

    def fail(*_: object) -> None:
        raise RuntimeError("made for this test")

    with monkeypatch.context() as broken:
        broken.setattr(resources.classifier("sure"), "predict", fail)
        click(app, "example-one")
        assert app.exception
    assert only_place.taken == 0
    app.run()
    after = next(iter(app.session_state["gallery"].picture.analyses.values()))
    assert (after.predictions.probs == before.predictions.probs).all()
    assert (after.faces.xyxy == before.faces.xyxy).all()


def test_two_sessions_share_the_networks_and_the_places(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []
    real = pipeline.analyse

    def watch(photo, detector, classifier, **options):
        used.append((detector, classifier._engine, resources.slots()))
        return real(photo, detector, classifier, **options)

    monkeypatch.setattr(pipeline, "analyse", watch)  # a page is run anew, and imports it
    click(app.run(), "example-one")
    other = AppTest.from_file(str(ROOT / "app.py"), default_timeout=TIMEOUT)
    click(other.run(), "example-one")
    first, second = used  # of the two sessions
    assert all(mine is theirs for mine, theirs in zip(first, second, strict=True))
