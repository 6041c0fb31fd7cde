"""The Photo page when all places are taken, and what its sessions share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from fer_demo import pipeline
from fer_demo.slots import SENTENCE, Slots
from fer_demo.ui import compare, heatmaps, resources
from fer_demo.ui import gallery as gallery_module
from fer_demo.ui.gallery import Gallery
from tests.conftest import ROOT, until
from tests.ui.conftest import TIMEOUT, example_png, wall_png
from tests.ui.photo_page import click, headings, texts, upload


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


def free(taken: threading.Event, place: Slots) -> None:
    """The one who holds the place leaves it."""
    taken.set()
    until(lambda: not place.taken)


def test_a_busy_server_says_so_and_answers_later(
    app: AppTest, taken: threading.Event, only_place: Slots
) -> None:
    app.run()
    click(app, "example-one")
    assert not app.exception
    assert [warning.value for warning in app.warning] == [SENTENCE]
    free(taken, only_place)
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


def test_an_upload_that_found_no_place_is_kept_for_another_try(
    app: AppTest, taken: threading.Event, only_place: Slots
) -> None:
    upload(app.run(), ("bad.png", b"no picture"), ("a.png", example_png("one")))
    click(app, "again-files")
    assert f"a.png was not read. {SENTENCE}" in texts(app)
    # Other files do not push it out.
    upload(app, ("b.png", example_png("several")))
    free(taken, only_place)
    click(app, "again-files")
    assert not app.exception
    gallery = app.session_state["gallery"]
    assert [picture.name for picture in gallery.pictures] == ["a.png", "b.png"]
    assert gallery.shown == 0
    assert "a.png was not read" not in texts(app)
    assert headings(app)
    assert "again-files" not in [button.key for button in app.button]


def test_another_try_leaves_what_cannot_be_read_named(
    app: AppTest, taken: threading.Event, only_place: Slots
) -> None:
    upload(app.run(), ("bad.png", b"no picture"), ("a.png", example_png("one")))
    free(taken, only_place)
    click(app, "again-files")
    assert "bad.png was not read" in texts(app)
    assert len(headings(app)) == 1


def test_a_snapshot_that_found_no_place_is_kept_for_another_try(
    app: AppTest, taken: threading.Event, only_place: Slots
) -> None:
    click(app.run(), "camera-button")
    app.camera_input[0].set_value(("snap.jpg", example_png("one"), "image/jpeg")).run()
    assert f"snapshot-1.jpg was not read. {SENTENCE}" in texts(app)
    free(taken, only_place)
    click(app, "again-files")
    assert [picture.name for picture in app.session_state["gallery"].pictures] == ["snapshot-1.jpg"]
    assert len(headings(app)) == 1


def test_no_more_is_kept_for_another_try_than_there_is_room_for(
    taken: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_module, "MAX_WAITING", 5)
    gallery = Gallery()
    for name in ("a.png", "b.png"):
        gallery.add_file(b"abc", name)
    assert [one.name for one in gallery.refused] == ["a.png", "b.png"]
    assert [one.name for one in gallery.waiting] == ["a.png"]


@pytest.mark.parametrize("label", ["Picture (PNG)", "ZIP of everything"])
def test_a_download_waits_for_a_place_and_is_not_refused(
    app: AppTest, only_place: Slots, monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    made: dict[str, Callable[[], bytes]] = {}

    def button(label: str, make: Callable[[], bytes], *_: str, **__: str) -> None:
        made[label] = make

    monkeypatch.setattr(st, "download_button", button)
    click(app.run(), "example-one")
    with ThreadPoolExecutor(1) as pool:  # as the server makes it, outside of the page's run
        with only_place.take():
            file = pool.submit(made[label])
            with pytest.raises(TimeoutError):
                file.result(1)
        assert file.result(TIMEOUT)
    assert only_place.taken == 0


class Crowded(Slots):
    """One place, which somebody else takes for good as soon as it is left."""

    def __init__(self) -> None:
        super().__init__(1, 0)

    def _leave(self) -> None:
        super()._leave()
        self._limit = 0


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Crowded]:
    """Makes the place one that is given up once."""

    def begin() -> Crowded:
        slots = Crowded()
        monkeypatch.setattr(resources, "slots", lambda: slots)
        return slots

    return begin


def test_of_several_files_none_is_refused_after_the_first(
    app: AppTest, crowded: Callable[[], Crowded]
) -> None:
    app.run()
    slots = crowded()
    upload(app, *((f"{name}.png", example_png(name)) for name in ("one", "several", "uncertain")))
    assert not app.warning
    assert "not read" not in texts(app)
    assert len(app.session_state["gallery"].pictures) == 3
    assert headings(app)
    assert slots.taken == 0


def test_of_several_files_each_that_finds_no_place_is_named(
    app: AppTest, taken: threading.Event
) -> None:
    upload(app.run(), ("a.png", example_png("one")), ("b.png", example_png("several")))
    for name in ("a.png", "b.png"):
        assert f"{name} was not read. {SENTENCE}" in texts(app)


@pytest.mark.parametrize("against", [heatmaps.NOTHING, heatmaps.RUNNER_UP])
def test_another_map_is_drawn_for_all_faces_or_none(
    app: AppTest, crowded: Callable[[], Crowded], against: str
) -> None:
    picture = click(app.run(), "example-several").session_state["gallery"].picture
    (analysis,) = picture.analyses.values()
    assert len(analysis) > 2
    look = heatmaps.Look("layer_cam", against, False, False, 0.6, False)
    slots = crowded()  # outside of a run of the page, as where only the cards run again
    faces = range(len(analysis))
    maps = heatmaps.maps_of(
        picture, "sure", analysis, look, faces, analysis.predictions.top, st.empty()
    )
    assert len(maps) == len(analysis)
    assert slots.taken == 0


def test_a_comparison_asks_all_models_or_none(app: AppTest, crowded: Callable[[], Crowded]) -> None:
    click(app.run(), "example-one").selectbox(key="model").set_value("ensemble").run()
    picture = app.session_state["gallery"].picture
    alone, together = picture.analyses
    del picture.analyses[alone]
    slots = crowded()
    assert list(compare._answers(picture, together)) == ["sure", "unsure"]
    assert slots.taken == 0


def test_the_wait_for_a_place_is_no_part_of_the_time_to_read_a_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late = [0.0]

    class Late(Slots):
        @contextmanager
        def take(self) -> Iterator[None]:
            late[0] += 100
            with super().take():
                yield

    clock = SimpleNamespace(perf_counter=lambda: late[0] + time.perf_counter())
    monkeypatch.setattr(gallery_module, "time", clock)
    monkeypatch.setattr(resources, "slots", lambda: Late(1))
    gallery = Gallery()
    gallery.add_file(wall_png(), "wall.png")
    assert gallery.pictures[0].decode_seconds < 100


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
