"""The Photo page: pictures in, expressions out."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from functools import partial

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from fer_demo import log
from fer_demo.answers import Answers
from fer_demo.ensemble import ENSEMBLE
from fer_demo.errors import FerDemoError
from fer_demo.export import annotated_png, to_csv, to_json, to_records, to_zip
from fer_demo.faces import DEFAULT_THRESHOLD
from fer_demo.pipeline import analyse, read_by
from fer_demo.types import Analysis
from fer_demo.ui import resources
from fer_demo.ui.callbacks import weakly
from fer_demo.ui.cards import CARDS_A_PAGE, cards
from fer_demo.ui.compare import compare
from fer_demo.ui.gallery import Gallery, Picture, gallery
from fer_demo.ui.how_sure import answering_from, answers_of
from fer_demo.ui.intake import example_by_id, intake, try_again
from fer_demo.ui.layout import notice, told
from fer_demo.ui.origin import title, weights_line
from fer_demo.ui.picture import picture_column, set_marking, set_whole


def main() -> None:
    """The page, as one visit to the places for heavy work."""
    pictures = gallery()
    let_in, pictures.let_in = pictures.let_in, False
    with resources.slots().visit(let_in=let_in):
        _page(pictures)


def _page(pictures: Gallery) -> None:
    """From top to bottom; the settings stand last and are read first."""
    _open_link(pictures)
    st.markdown("# Read the expressions in a picture", anchors=False)
    notice(results=pictures.picture is not None)
    intake()
    refusals, progress, results = (st.container() for _ in range(3))
    with refusals:
        _refusals(pictures)
    _write_link(pictures.picture)
    if pictures.picture is None:
        return
    with st.container(key="footer", horizontal=True, horizontal_alignment="distribute"):
        downloads = st.container(width="content")
        settings = st.container(
            width="content", horizontal=True, vertical_alignment="bottom", gap="small"
        )
    origin = st.container()
    with settings:
        model, threshold = _settings()
    if model is None:
        return
    with progress:
        analyses = _analyse_all(pictures, model, threshold)
    if analyses is None:
        return
    with origin:
        weights_line([resources.weights(name) for name in resources.members(model)])
    with settings:
        answers = answers_of(model)
        limit = answering_from(answers, analyses[0].uncertain_below)
    analyses = [dataclasses.replace(one, uncertain_below=limit) for one in analyses]
    with results:
        _results(pictures, pictures.picture, analyses[pictures.shown], answers, model, threshold)
    with downloads:
        _downloads(pictures, analyses)


def _open_link(pictures: Gallery) -> None:
    """A link that names an example shows it."""
    if pictures.pictures or st.session_state.get("link_opened"):
        return
    st.session_state["link_opened"] = True
    example = example_by_id(st.query_params.get("example"))
    if example is not None:
        pictures.add_example(example)


def _write_link(picture: Picture | None) -> None:
    """The address names the example on show; an upload has no address."""
    example = None if picture is None else picture.example
    if example is not None:
        st.query_params["example"] = example
    elif "example" in st.query_params:
        del st.query_params["example"]


def _settings() -> tuple[str | None, float]:
    """Model and detector threshold, both in the URL."""
    try:
        names = resources.predictors()
    except FerDemoError as error:
        st.error(str(error), icon=":material/error:")
        return None, DEFAULT_THRESHOLD
    with st.container(key="settings", horizontal=True, vertical_alignment="bottom", gap="small"):
        model = names[0]
        if len(names) > 1:
            model = st.selectbox(
                "Model",
                names,
                key="model",
                bind="query-params",
                format_func=title,
                width=260,
                help=f"{title(ENSEMBLE)}: the mean of the models' probabilities.",
            )
        with st.popover("Advanced", icon=":material/tune:"):
            threshold = st.slider(
                "Face detector threshold",
                0.3,
                0.95,
                DEFAULT_THRESHOLD,
                0.05,
                key="threshold",
                bind="query-params",
                help="Lower finds more faces, and more things that are none.",
            )
    return model, threshold


def _refusals(pictures: Gallery) -> None:
    if not pictures.refused:
        return
    with st.container(border=True, key="refused", gap="xsmall"):
        for left_out, what in ((False, "not read"), (True, "left out")):
            some = [one for one in pictures.refused if one.left_out == left_out]
            if some:
                files = "One file was" if len(some) == 1 else f"{len(some)} files were"
                st.markdown(f":material/warning: **{files} {what}**")
            for one in some:
                # st.text, because the sentence holds a name that came from outside.
                st.text(one.sentence)
        with st.container(horizontal=True, gap="xsmall"):
            if pictures.waiting:
                st.button("Try again", key="again-files", on_click=try_again)
            st.button("Dismiss", key="dismiss-files", on_click=pictures.dismiss_refusals)


def _analyse_all(pictures: Gallery, model: str, threshold: float) -> list[Analysis] | None:
    """What was found in each picture; only what is not known yet is computed."""
    todo = [p for p in pictures.pictures if p.question(model, threshold) not in p.analyses]
    if todo:
        bar = st.progress(0.0, "Loading the face detector")
        with told("again"):
            try:
                _analyse(todo, model, threshold, bar)
            finally:
                bar.empty()
    if any(p.question(model, threshold) not in p.analyses for p in pictures.pictures):
        return None
    return [p.analyses[p.question(model, threshold)] for p in pictures.pictures]


def _analyse(todo: list[Picture], model: str, threshold: float, bar: DeltaGenerator) -> None:
    """Load what is needed, and look at each of these pictures."""
    detector = resources.detector(progress=partial(_show_fetching, bar, "the face detector"))
    bar.progress(0.05, "Loading the expression model")
    classifier = resources.classifier(model, partial(_show_fetching, bar, "the model"))
    for index, picture in enumerate(todo):
        bar.progress(0.1 + 0.9 * index / len(todo), f"Reading picture {index + 1} of {len(todo)}")
        question = picture.question(model, threshold)
        with resources.slots().take(), log.timed("analysis") as found:
            known = picture.with_the_faces_of(question)
            if known is not None:
                analysis = read_by(classifier, known)
            else:
                analysis = analyse(
                    picture.photo,
                    detector,
                    classifier,
                    threshold=threshold,
                    added=np.array(picture.added, np.float32).reshape(-1, 4),
                    whole=picture.whole,
                    max_faces=resources.settings().max_faces,
                    decode_seconds=picture.decode_seconds,
                )
            found["faces"] = len(analysis)
        picture.keep(question, analysis)


def _show_fetching(bar: DeltaGenerator, what: str, done: int, total: int) -> None:
    text = f"Fetching {what} from the Hub, {done / 1e6:.1f} of {total / 1e6:.1f} MB"
    bar.progress(done / max(total, 1), text)


def _results(
    pictures: Gallery,
    picture: Picture,
    analysis: Analysis,
    answers: Answers | None,
    model: str,
    threshold: float,
) -> None:
    left, right = st.columns([5, 6], gap="medium")
    with left, st.container(key="picture", gap="small"):
        picture_column(pictures, picture, analysis)
        pager = st.container(gap="xxsmall") if len(analysis) > CARDS_A_PAGE else None
    with right:
        detector = resources.detector()
        if detector.notice and analysis.detector == detector.name:
            st.info(detector.notice, icon=":material/info:")
        question = picture.question(model, threshold)
        if len(analysis) and _comparing():
            compare(picture, question, analysis.uncertain_below)
        elif len(analysis):
            cards(picture, question, analysis, answers, pager)
        elif not st.session_state.get("marking"):
            _no_face(picture)


def _comparing() -> bool:
    """Whether the models are to be compared; nothing to ask where there is only one."""
    if len(resources.models()) < 2:
        return False
    return st.toggle(
        "Compare the models",
        key="compare",
        bind="query-params",
        help="One face through each model, side by side.",
    )


def _no_face(picture: Picture) -> None:
    with st.container(border=True, key="no-face"):
        st.markdown("#### No face found", anchors=False)
        st.text(
            f"No face found in {picture.shown_name}. Try a larger or sharper picture, lower the "
            "detection threshold, or treat the whole picture as one face."
        )
        with st.container(horizontal=True, gap="xsmall"):
            st.button(
                "Treat the whole picture as one face", key="whole", type="primary",
                on_click=weakly(partial(set_whole, whole=True), picture),
            )  # fmt: skip
            st.button("Mark a face", key="mark-none", on_click=set_marking, args=(True,))


def _downloads(pictures: Gallery, analyses: list[Analysis]) -> None:
    """Everything to take home; made when it is clicked."""
    named = [(p.name, a) for p, a in zip(pictures.pictures, analyses, strict=True)]
    refused = [{"image": one.name, "error": one.sentence} for one in pictures.refused]
    shown_name, shown = named[pictures.shown]

    places = resources.slots()

    def in_turn(make: Callable[[], bytes]) -> bytes:
        # Encoding keeps a core busy, too. Not refused: who sees the results waits for the file.
        with places.visit(let_in=True), places.take():
            return make()

    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", shown_name.rsplit(".", 1)[0]).strip("-")[:40]
    files = (
        (
            "Picture (PNG)",
            lambda: in_turn(lambda: annotated_png(shown)),
            f"{stem or 'picture'}-faces.png",
            "image/png",
        ),
        ("CSV", lambda: to_csv(to_records(named)), "faces.csv", "text/csv"),
        ("JSON", lambda: to_json([*to_records(named), *refused]), "faces.json", "application/json"),
        (
            "ZIP of everything",
            lambda: in_turn(lambda: to_zip(named, refused)),
            "faces.zip",
            "application/zip",
        ),
    )
    with st.container(key="downloads", horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.markdown("**Download**", width="content")
        for label, make, file_name, mime in files:
            st.download_button(
                label, make, file_name, mime, key=f"download-{mime}", on_click="ignore"
            )


if __name__ == "__main__":
    main()
