"""The comparison: one face through each model, side by side, with the evidence for one expression.

Each model reads the same crops once; its answer is kept with the picture's others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from fer_demo.charts import describe_face, finding, small_bars, unbroken
from fer_demo.draw import evidence_scale, overlay
from fer_demo.ensemble import ENSEMBLE, Ensemble
from fer_demo.pipeline import read_by
from fer_demo.types import EXPRESSIONS, Analysis
from fer_demo.ui import resources
from fer_demo.ui.gallery import Picture, Question
from fer_demo.ui.layout import told
from fer_demo.ui.origin import short_name

OPACITY = 0.6
"""Of the evidence over the crop: what the cards open with."""


@st.fragment
def compare(picture: Picture, question: Question, limit: float) -> None:
    """One face of the picture, through every model.

    Args:
        limit: the confidence below which the model of `question` is to be uncertain, as the picture
            beside the comparison shows it; the others keep their own.
    """
    with told("again-compare"):
        with st.spinner("Asking each model"):
            answers = _answers(picture, question)
            together = resources.ensemble()
        _side_by_side(picture, question, limit, answers, together)


def _side_by_side(
    picture: Picture,
    question: Question,
    limit: float,
    answers: dict[str, Analysis],
    together: Ensemble,
) -> None:
    if question.model in answers:
        answers[question.model] = replace(answers[question.model], uncertain_below=limit)
    joint = replace(
        next(iter(answers.values())),
        predictions=together.combine([answer.predictions for answer in answers.values()]),
        uncertain_below=limit if question.model == ENSEMBLE else together.uncertain_below,
    )
    face, chosen = _choices(picture, question)
    with st.container(key="verdict"):
        st.text(f"{verdict(answers, face)} {_together(joint, face)}")
    scale = max(evidence_scale(answer) for answer in answers.values())
    # Two stand side by side on a phone, too; more would be too narrow there.
    columns = st.columns(len(answers), gap="small", wrap=len(answers) > 2)
    for column, (name, answer) in zip(columns, answers.items(), strict=True):
        key = f"model-{short_name(name)}"
        with column, st.container(border=True, gap="xsmall", key=key, height="stretch"):
            _column(name, answer, face, chosen, scale)
    st.caption(
        f"The evidence of each model's last layer: purple places speak for {chosen}, teal ones "
        "against it, on one scale."
    )


def verdict(answers: Mapping[str, Analysis], face: int) -> str:
    """Whether the models agree on a face (from 0), and if not, which says what."""
    said = {
        short_name(name): answer.predictions.labels[int(answer.predictions.top[face])]
        for name, answer in answers.items()
    }
    doubtful = [short_name(name) for name, answer in answers.items() if answer.is_uncertain(face)]
    everyone = "Both models" if len(said) == 2 else f"All {len(said)} models"
    if len(set(said.values())) > 1:
        each = ", ".join(f"{name} says {label}" for name, label in said.items())
        sentence = f"They disagree: {each}."
    else:
        sentence = f"{everyone} say {next(iter(said.values()))}."
    if not doubtful:
        return sentence
    who = everyone if len(doubtful) == len(said) else " and ".join(doubtful)
    return f"{sentence} {who} {'is' if len(doubtful) == 1 else 'are'} uncertain."


def _together(joint: Analysis, face: int) -> str:
    """What the models say as one."""
    said = finding(joint, face)
    verb = "are" if joint.is_uncertain(face) else "say"
    return f"Together they {verb} {said[0].lower()}{said[1:]}."


def _answers(picture: Picture, question: Question) -> dict[str, Analysis]:
    """What each model says of the faces; only what is not known yet is computed, in one visit."""
    shown, answers = picture.analyses[question], {}
    picture.keep(question, shown)  # those known before become the latest: the next click needs all
    with resources.slots().visit():
        for name in resources.models():
            asked = replace(question, model=name)
            answer = picture.analyses.get(asked)
            if answer is None:
                classifier = resources.classifier(name)
                with resources.slots().take():
                    answer = read_by(classifier, shown)
            picture.keep(asked, answer)
            answers[name] = answer
    return answers


def _choices(picture: Picture, question: Question) -> tuple[int, str]:
    """The face (from 0) and the expression to compare: the predicted one until another is chosen.

    A choice of expression is not kept for another answer, as on the cards.
    """
    analysis = picture.analyses[question]
    key = f"{picture.digest[:12]}-{len(analysis)}"
    face = 0
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if len(analysis) > 1:
            numbers = range(1, len(analysis) + 1)
            face = st.selectbox("Face", numbers, key=f"compare-face-{key}", width=100) - 1
        chosen = st.selectbox(
            "Evidence for",
            EXPRESSIONS,
            index=int(analysis.predictions.top[face]),
            key=f"compare-class-{key}-{hash(question)}-{face}",
            width=160,
        )
    return face, chosen


def _column(name: str, answer: Analysis, face: int, chosen: str, scale: float) -> None:
    st.text(short_name(name))
    evidence = answer.predictions.evidence[face, EXPRESSIONS.index(chosen)]
    st.image(
        overlay(answer.crops.colour[face], evidence, scale, OPACITY),
        width="stretch",
        output_format="JPEG",
        alt=f"Face {face + 1} with the evidence of {short_name(name)} for {chosen}.",
    )
    # Below the picture: a long one must not push it out of line with its neighbours.
    st.markdown(f"**{unbroken(finding(answer, face))}**")
    st.plotly_chart(
        small_bars(answer, face),
        key=f"compare-bars-{name}",
        config={"displayModeBar": False},
        alt=describe_face(answer, face),
        width="stretch",
    )
