"""The Models page: how good, where it errs, how sure, how robust, how honest its maps are.

Every number comes from the files beside the weights. What was not measured is said to be missing.
"""

from __future__ import annotations

import streamlit as st

from fer_demo import faithfulness_charts, model_charts
from fer_demo.measured import HEADS, Measured, bundled, peers
from fer_demo.model_charts import Chart, Row, share

SHOWN = "ferplus7"
"""The protocol of the head that the app shows."""

INTRO = """
These figures come from files that lie beside each model's weights, written by the programs that
measured them. Two sets of labels exist for the same pictures: FER2013's own, one label a picture,
and FER+, ten people's votes. They agree on only about 62 % of the pictures, so figures on one say
little about the other.
"""

ERRORS = """
- **Fear and sad** are hard to tell apart in these pictures, for people too.
- **Disgust** has few examples, so its figures swing by several points with chance.
- **Label noise**: where annotators disagree, no answer is right. A model cannot pass that limit
  honestly.
"""

TERMS = """
- **Data**: FER2013 (Goodfellow et al. 2013), 48 x 48 grey faces from web searches, for research;
  labels from FER+ (Barsoum et al. 2016, MIT licence). Pictures of the data are not part of this
  app.
- **Made for**: trying out and teaching expression recognition, with people who agreed.
- **Not for**: inferring what anyone feels, employees, applicants, pupils or students, or decisions
  about people. See the About page.
- **Selection**: models are chosen and calibrated on PublicTest, so their PublicTest figures are
  slightly too good. Most published figures are from PrivateTest.
"""


def main() -> None:
    """The sections, as a story."""
    with st.container(width=860, key="models"):
        st.markdown("# Models", anchors=False)
        st.markdown(INTRO)
        try:
            models = bundled()
        except ValueError:
            st.error("The measured figures could not be read. Write them anew.")
            return
        if not models:
            st.info("No model is bundled, so there is nothing to show yet.")
            return
        model = models[0]
        if len(models) > 1:
            name = st.selectbox("Model", [each.name for each in models], key="measured-model")
            model = next(each for each in models if each.name == name)
        _how_good(models)
        _where_it_errs(model)
        _how_sure(model)
        _how_robust(model)
        _how_honest(model)
        _data_and_terms(model)


def _section(title: str) -> None:
    st.markdown(f"## {title}", anchors=False)


def _missing(what: str, command: str) -> None:
    st.info(f"{what} was not measured for this model. The command is `{command}`.")


def _show(chart: Chart, key: str, note: str = "") -> None:
    """The finding, the figure, and the same numbers as a table."""
    st.markdown(f"#### {chart.title}", anchors=False)
    if note:
        st.caption(note)
    st.plotly_chart(
        chart.figure, key=key, config={"displayModeBar": False}, width="stretch", alt=chart.title
    )
    with st.expander("The numbers as a table"):
        _table(chart.table)


def _table(rows: list[Row]) -> None:
    st.table({name: [str(row[name]) for row in rows] for name in rows[0]})


def _how_good(models: tuple[Measured, ...]) -> None:
    _section("How good")
    measured = [model for model in models if model.heads]
    if not measured:
        _missing("Accuracy", "python -m training.evaluate")
        return
    st.markdown("On each set of labels, never mixed. ± is the standard error of the share.")
    _table(
        [
            {
                "Model": model.name,
                "Labels": HEADS.get(head, head),
                "Pictures": result["n"],
                "Accuracy": f"{share(result['accuracy'])} ± {share(result['standard_error'])}",
                "Macro F1": share(result["macro_f1"]),
            }
            for model in measured
            for head, result in model.heads.items()
        ]
    )
    published = peers()
    for head, name in (("fer2013", "FER2013"), ("ferplus8", "FER+")):
        ours = {model.name: model.heads[head] for model in measured if head in model.heads}
        if ours:
            chart = model_charts.accuracy(ours, published[head], measured[0].split, name)
            note = (
                "Filled: this app. Open: published figures, mostly on PrivateTest, whose figures "
                "are as a rule a little higher than those on PublicTest."
            )
            _show(chart, f"accuracy-{head}", note)
            sources = ", ".join(
                f"[{peer['name']}]({peer['url']})" for peer in published[head] if peer.get("url")
            )
            st.caption(f"Sources: {sources}.")


def _where_it_errs(model: Measured) -> None:
    _section("Where it errs")
    result = model.heads.get(SHOWN)
    if result is None:
        _missing("The confusion of expressions", "python -m training.evaluate")
    else:
        counts = st.toggle("Counts of pictures instead of percent", key="confusion-counts")
        unit = "Pictures" if counts else "Percent of the pictures of each row"
        _show(
            model_charts.confusion(result, counts=counts),
            "confusion",
            f"{unit}, {model.split}, FER+ labels. Hover over a cell for what it means.",
        )
        with st.expander("Precision, recall and F1 of each expression", expanded=True):
            _table(model_charts.per_class(result))
    st.markdown(ERRORS)


def _how_sure(model: Measured) -> None:
    _section("How sure")
    calibration, result = model.calibration, model.heads.get(SHOWN)
    if calibration is None:
        _missing("Whether its confidence can be trusted", "python -m training.calibrate")
    else:
        held, target = calibration["at_threshold"], calibration["target_accuracy"]
        limit = model.card["fer_demo"]["uncertain_below"]
        st.markdown(
            f'Below a confidence of {share(limit, 0)} the app says "uncertain". The aim was to be '
            f"right {share(target, 0)} of the time. Held out, {share(held['coverage'])} of the "
            f"pictures were answered and {share(held['accuracy'])} of those rightly. The pictures "
            "are FER2013's; yours may differ."
        )
        _show(
            model_charts.reliability(calibration),
            "reliability",
            "Each point is cross-fitted: its temperature comes from other pictures. Dotted: "
            "a perfect match.",
        )
    if result is None:
        _missing("The trade of answers for accuracy", "python -m training.evaluate")
        return
    chart = model_charts.risk_coverage(result)
    curve = {int(p): a for p, a in result["risk_coverage"]["accuracy"].items()}
    _show(chart, "risk-coverage")
    chosen = st.select_slider(
        "Share of faces that gets an answer",
        sorted(curve),
        value=80,
        format_func=lambda p: f"{p} %",
        key="coverage",
    )
    st.markdown(f"Answering the surest {chosen} %: right {share(curve[chosen])} of the time.")


def _how_robust(model: Measured) -> None:
    _section("How robust")
    result = model.heads.get(SHOWN, {})
    if "corruptions" not in result:
        _missing("Robustness", "python -m training.evaluate --corruptions")
        return
    _show(
        model_charts.corruptions(result),
        "corruptions",
        "Accuracy on the same pictures, spoiled at three strengths, as a camera might.",
    )


def _how_honest(model: Measured) -> None:
    _section("How honest the heat maps are")
    document = model.faithfulness
    if document is None:
        _missing("Faithfulness", "python -m training.explain")
        return
    st.markdown(
        "A map is faithful if hiding the places it marks lowers the answer's probability "
        "(deletion), if showing them alone brings it back (insertion), and if both hold when "
        "hidden places are filled from their neighbours (ROAD). On aligned faces any map that "
        "marks the middle does well, so it is compared with exactly that, the face prior."
    )
    _show(
        faithfulness_charts.faithfulness(document),
        "faithfulness",
        f"{document['images']} pictures. Lines: 95 % intervals of a paired bootstrap. Filled: "
        "the interval excludes 0.",
    )
    _show(
        faithfulness_charts.randomisation(document),
        "randomisation",
        "A map that stays the same when the network forgets everything explains nothing.",
    )


def _data_and_terms(model: Measured) -> None:
    _section("Data and terms")
    st.markdown(TERMS)
    card = model.card.get("fer_demo", {})
    recipe = card.get("recipe", {})
    facts = {
        "Network": model.card.get("architecture"),
        "Input": f"{model.card['pretrained_cfg']['input_size'][-1]} px, one grey channel",
        "Epochs of training": recipe.get("epochs_done"),
        "Temperature, FER2013 head": card.get("temperature", {}).get("fer2013"),
        "Temperature, FER+ head": card.get("temperature", {}).get("ferplus7"),
        "Licence": model.card["pretrained_cfg"].get("license"),
    }
    rows: list[Row] = [
        {"Of the model": name, "": f"{value:.3f}" if isinstance(value, float) else str(value)}
        for name, value in facts.items()
        if value is not None
    ]
    _table(rows)


if __name__ == "__main__":
    main()
