"""The Models page: how good, where it errs, how sure, how robust, how honest its maps are.

Every number comes from the files beside the weights. What was not measured is said to be missing.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from fer_demo import certainty_charts, error_charts, faithfulness_charts, model_charts
from fer_demo.measured import HEADS, SPLITS, Json, Measured, bundled, peers
from fer_demo.model_charts import Chart, Row, share

BARE = {"displayModeBar": False}

# The protocol of the head that the app shows. (A string here would be drawn on the page.)
SHOWN = "ferplus7"

INTRO = """
These figures come from files that lie beside each model's weights, written by the programs that
measured them. Two sets of labels exist for the same pictures: FER2013's own, one label a picture,
and FER+, ten people's votes. Figures on one say little about the other.
"""

NOISE = """
**Label noise**: the two sets of labels agree on only 62 % of the pictures, and FER+'s ten people
seldom agree entirely. Where people disagree no answer is right, and no model can honestly pass
that limit.
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
        _outside(model)
        _how_honest(model)
        _data_and_terms(model)


def _section(title: str) -> None:
    st.markdown(f"## {title}", anchors=False)


def _missing(what: str, command: str) -> None:
    st.info(f"{what} was not measured for this model. The command is `{command}`.")


def _show(chart: Chart, key: str, note: str = "") -> None:
    """The finding, the figure, and the same numbers as a table."""
    _finding(chart, note)
    st.plotly_chart(chart.figure, key=key, config=BARE, width="stretch", alt=chart.title)
    _numbers(chart)


def _finding(chart: Chart, note: str) -> None:
    st.markdown(f"#### {chart.title}", anchors=False)
    if note:
        st.caption(note)


def _numbers(chart: Chart) -> None:
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
                f"[{peer['name']}]({peer['url']}), by {peer['measured_by']}"
                for peer in published[head]
            )
            st.caption(f"Sources: {sources}.")
    _how_fast(measured, published["fer2013"])


def _how_fast(models: list[Measured], published: list[dict[str, Any]]) -> None:
    timed = {
        model.name: (model.bench, model.heads["fer2013"]["accuracy"])
        for model in models
        if model.bench is not None and "fer2013" in model.heads
    }
    if not timed:
        _missing("Speed", "python -m fer_demo bench --json")
        return
    threads = next(iter(timed.values()))[0]["threads"]
    note = (
        f"From the file's bytes to the result, on {threads} processor threads, by one command on "
        "one machine. Filled: this app. Models that it did not time are not drawn. Accuracy as "
        "above: published figures are PrivateTest's."
    )
    _show(model_charts.latency(timed, published), "latency", note)


def _where_it_errs(model: Measured) -> None:
    _section("Where it errs")
    result = model.heads.get(SHOWN)
    if result is None:
        _missing("The confusion of expressions", "python -m training.evaluate")
    else:
        _confusion(model, result)
        with st.expander("Precision, recall and F1 of each expression", expanded=True):
            _table(error_charts.per_class(result))
        st.markdown("**Worst known**: the expressions that it finds least.")
        st.markdown("\n".join(f"- {sentence}" for sentence in error_charts.worst_known(result)))
    st.markdown(NOISE)


def _confusion(model: Measured, result: Json) -> None:
    counts = st.toggle("Counts of pictures instead of percent", key="confusion-counts")
    unit = "Pictures" if counts else "Percent of the pictures of each row"
    chart = error_charts.confusion(result, counts=counts)
    _finding(chart, f"{unit}, {model.split}, FER+ labels. Click a cell for what it means.")
    event = st.plotly_chart(
        chart.figure,
        key="confusion",
        config=BARE,
        width="stretch",
        alt=chart.title,
        on_select="rerun",
        selection_mode="points",
    )
    for point in event.selection.points[:1]:
        st.markdown(error_charts.cell(result, point["y"], point["x"]))
    _numbers(chart)


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
            f"right {share(target, 0)} of the time. On test pictures that the limit was not "
            f"fitted on, {share(held['coverage'])} got an answer, and {share(held['accuracy'])} of "
            "those answers were right. The pictures are FER2013's; yours may differ."
        )
        if "bins" in calibration:
            _show(
                certainty_charts.reliability(calibration),
                "reliability",
                f"{calibration['n']} pictures that are in no training file. After: cross-fitted, "
                "each by a temperature that came from other pictures. Dotted: a perfect match.",
            )
        else:
            _missing("Each bin of confidence", "python -m training.calibrate")
    if result is None:
        _missing("The trade of answers for accuracy", "python -m training.evaluate")
        return
    chart = certainty_charts.risk_coverage(result)
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
        error_charts.corruptions(result),
        "corruptions",
        "Accuracy on the same pictures, spoiled at three strengths, as a camera might.",
    )


def _outside(model: Measured) -> None:
    if model.outside is None:
        _missing("What it does with drawings, masks and the like", "python -m training.outside")
        return
    title, rows = error_charts.outside(model.outside)
    st.markdown(f"#### {title}", anchors=False)
    st.caption(
        "Percent of the pictures of each kind, through detector, network and warnings. Right or "
        "wrong does not exist here: a drawing's label says nothing about a person. Statues and "
        "backs of heads were not measured."
    )
    _table(rows)


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
    names = faithfulness_charts.METHOD_NAMES
    method = st.pills(
        "Heat map",
        list(document["gains"]),
        default=document["default"],
        format_func=names.__getitem__,
        key="faithfulness-method",
        required=True,
    )
    _show(
        faithfulness_charts.faithfulness(document, method or document["default"]),
        "faithfulness",
        f"{document['images']} pictures of {SPLITS.get(document['split'], document['split'])}. "
        "Lines: 95 % intervals of a paired bootstrap. Filled: the interval excludes 0. "
        f"The Photo page opens with {names[document['default']].lower()}.",
    )
    _show(
        faithfulness_charts.randomisation(document),
        "randomisation",
        "A map that stays the same when the network forgets everything explains nothing. Dotted: "
        "the limit that we set.",
    )


def _data_and_terms(model: Measured) -> None:
    _section("Data and terms")
    st.markdown(TERMS)
    card = model.card.get("fer_demo", {})
    recipe = card.get("recipe", {})
    pretrained = model.card.get("pretrained_cfg", {})
    side = pretrained.get("input_size", [None])[-1]
    facts = {
        "Network": model.card.get("architecture"),
        "Input": side and f"{side} px, one grey channel",
        "Epochs of training": recipe.get("epochs_done"),
        "Temperature, FER2013 head": card.get("temperature", {}).get("fer2013"),
        "Temperature, FER+ head": card.get("temperature", {}).get("ferplus7"),
        "Licence": pretrained.get("license"),
    }
    rows: list[Row] = [
        {"Of the model": name, "": f"{value:.3f}" if isinstance(value, float) else str(value)}
        for name, value in facts.items()
        if value is not None
    ]
    _table(rows)


if __name__ == "__main__":
    main()
