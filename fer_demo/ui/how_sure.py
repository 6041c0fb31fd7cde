"""How sure an answer is: how often such answers were right, and from where on to answer."""

from __future__ import annotations

import streamlit as st

from fer_demo.answers import ENOUGH, Answers, Rate, Trade
from fer_demo.classifier import Classifier
from fer_demo.ensemble import Ensemble
from fer_demo.types import Analysis
from fer_demo.ui import resources

MANY = 100
"""Answers from which on their share is said in hundredths; fewer are counted out."""


def answers_of(model: str) -> Answers | None:
    """What the card of the model in use says of its answers."""
    predictor = resources.classifier(model)
    if isinstance(predictor, Ensemble):
        return Answers.read(predictor.calibration, predictor.uncertain_below)
    calibration = predictor.card.calibration if isinstance(predictor, Classifier) else {}
    return Answers.read(calibration, predictor.uncertain_below)


def like_this(analysis: Analysis, answers: Answers | None, face: int) -> None:
    """Under a face's finding: how often such answers were right on the test pictures."""
    if answers is None:
        return
    said, counted = record(analysis, answers, face)
    if said:
        st.caption(said, help=counted)


def record(analysis: Analysis, answers: Answers, face: int) -> tuple[str, str | None]:
    """How often answers like that for a face (from 0) were right, and what exactly was counted.

    The first is "" where nothing like it was ever answered.
    """
    if analysis.warnings[face]:
        return "Unlike the test pictures, so how often this is right is not known.", None
    label = analysis.predictions.labels[int(analysis.predictions.top[face])]
    rate = answers.like(label, float(analysis.predictions.confidence[face]))
    if rate is None:
        return "", None
    who = f'"{label.capitalize()}"' if rate.label else "Any answer"
    said = f"{who} at this confidence: right on {often(rate)} test pictures."
    if label in answers.mistaken and sum(n for _, n in answers.counts[label]) >= ENOUGH:
        wrong = "If wrong" if rate.label else f'If "{label}" is wrong'
        said += f" {wrong}, most often {answers.mistaken[label]}."
    return said, _counted(rate)


def often(rate: Rate) -> str:
    """ "96 in 100", or counted out where there are few answers: "24 of 33"."""
    if rate.n < MANY:
        return f"{rate.right} of {rate.n}"
    return f"{min(99, round(100 * rate.right / rate.n))} in 100"


def _counted(rate: Rate) -> str:
    kind = f'of "{rate.label}"' if rate.label else "of any expression"
    return (
        f"{rate.right} of {rate.n} answers {kind} with a confidence of {100 * rate.low:.0f} to "
        f"{100 * rate.high:.0f} %. The test pictures are FER2013's, which the model did not learn "
        "from; right means that it named what most of ten people said. Your pictures may differ."
    )


def answering_from(answers: Answers | None, default: float) -> float:
    """The confidence from which on the page answers; a person may move it and sees what it costs.

    Args:
        answers: None where nothing is known, and nothing can be moved.
        default: the model's own.
    """
    if answers is None:
        return default
    trades = {trade.limit: trade for trade in answers.trades()}
    with st.popover("How sure", icon=":material/rule:", key="sure"):
        limit = st.select_slider(
            'Say "uncertain" below',
            list(trades),
            value=answers.fitted.limit,
            format_func=said_limit,
            key=f"limit-{answers.fitted.limit}",
            persist_state="session",  # through other pages and other models
        )
        st.markdown(traded(trades[limit]))
        st.caption("On the test pictures, which are FER2013's. Yours may differ.")
    return limit


def said_limit(limit: float) -> str:
    """The confidence that an answer needs, for people; everywhere the same, to a decimal."""
    return f"{100 * limit:.3g} %"


def traded(trade: Trade) -> str:
    """Both sides of a trade, in words."""
    return (
        f"Answers for **{100 * trade.coverage:.0f} of 100** faces, and is right in "
        f"**{min(99, round(100 * trade.accuracy))} of 100** of these answers."
    )
