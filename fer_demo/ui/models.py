"""The Models page: how good, where it errs, how sure, how robust, how honest its maps are.

Every number comes from the files beside the weights. What was not measured is said to be missing.
"""

from __future__ import annotations

import streamlit as st

from fer_demo import certainty_charts, error_charts, faithfulness_charts
from fer_demo.charts import unbroken
from fer_demo.ensemble import ENSEMBLE
from fer_demo.measured import Json, Measured, bundled, pictures_of
from fer_demo.model_charts import Row, share
from fer_demo.types import SHOWN_PROTOCOL
from fer_demo.ui import resources
from fer_demo.ui.figures import BARE, finding, missing, numbers, section, show, table
from fer_demo.ui.heatmaps import METHODS
from fer_demo.ui.how_good import accuracy, how_good
from fer_demo.ui.how_robust import how_robust
from fer_demo.ui.how_sure import said_limit
from fer_demo.ui.origin import short_name, title

INTRO = """
These figures come from files that lie beside each model's weights, written by the programs that
measured them. Two sets of labels exist for the same pictures: FER2013's own, one label a picture,
and FER+, ten people's votes. Figures on one say little about the other.
"""

LABELS_AGREE = 0.621
"""The share of PublicTest whose FER2013 label is what most of FER+'s ten people said. Measured by:
python -c "from pathlib import Path; from training.data import read_split; from training.votes
import ferplus7_label; faces = read_split(Path('DATA'), 'public_test');
print((faces.label == ferplus7_label(faces.votes)).mean())"
"""

NOISE = f"""
**Label noise**: the two sets of labels agree on only {share(LABELS_AGREE, 0)} of the pictures, and
FER+'s ten people seldom agree entirely. Where people disagree no answer is right for all of them,
so no model can honestly come near 100 % on either set.
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
    hub_repos = resources.settings().hub_repos
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
        _whose(hub_repos)
        best_first = sorted(models, key=accuracy, reverse=True)
        how_good(best_first)
        model = _chosen(best_first)
        _where_it_errs(model)
        _how_sure(model)
        how_robust(model)
        _how_honest(model)
        _data_and_terms(model)


def _whose(hub_repos: tuple[str, ...]) -> None:
    """Which weights the figures are of, where others may answer."""
    if hub_repos:
        names = ", ".join(f"`{short_name(repo)}`" for repo in hub_repos)
        st.info(
            "These are the figures of the weights that are bundled with the app. This server is "
            f"set to answer with those of {names}, which may be others. The About page names the "
            "weights in use."
        )


def _chosen(models: list[Measured]) -> Measured:
    """Whose figures the sections below are; the best at first."""
    if len(models) < 2:
        return models[0]
    titles = {model.name: title(model.name, model.members) for model in models}
    name = st.selectbox(
        "All figures below are of",
        list(titles),
        key="measured-model",
        format_func=titles.__getitem__,
        width=260,
    )
    return next(model for model in models if model.name == name)


def _where_it_errs(model: Measured) -> None:
    section("Where it errs")
    result = model.heads.get(SHOWN_PROTOCOL)
    if result is None:
        missing("The confusion of expressions", "python -m training.evaluate")
    else:
        _confusion(model, result)
        with st.expander("Precision, recall and F1 of each expression", expanded=True):
            table(error_charts.per_class(result))
        st.markdown("**Worst known**: the expressions that it finds least.")
        st.markdown("\n".join(f"- {sentence}" for sentence in error_charts.worst_known(result)))
    st.markdown(NOISE)


def _confusion(model: Measured, result: Json) -> None:
    counts = st.toggle("Counts of pictures instead of percent", key="confusion-counts")
    unit = "Pictures" if counts else "Percent of the pictures of each row"
    chart = error_charts.confusion(result, counts=counts)
    finding(chart, f"{unit}, {model.split}, FER+ labels. Click a cell for what it means.")
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
    numbers(chart)


def _how_sure(model: Measured) -> None:
    section("How sure")
    calibration, result = model.calibration, model.heads.get(SHOWN_PROTOCOL)
    if calibration is None:
        missing("Whether its confidence can be trusted", "python -m training.calibrate")
    else:
        held, target = calibration["at_threshold"], calibration["target_accuracy"]
        limit = unbroken(said_limit(model.card["fer_demo"]["uncertain_below"]))
        st.markdown(
            f"This model answers from a confidence of {limit} on and is uncertain below. "
            f"The aim was to be right {share(target, 0)} of the time. On test pictures that the "
            f"limit was not fitted on, {share(held['coverage'])} got an answer, and "
            f"{share(held['accuracy'])} of those answers were right. The pictures are FER2013's; "
            "yours may differ."
        )
        if "bins" in calibration:
            show(
                certainty_charts.reliability(calibration),
                "reliability",
                f"{calibration['n']} pictures that are in no training file. After: cross-fitted, "
                "each by a temperature that came from other pictures. Dotted: a perfect match.",
            )
        else:
            missing("Each bin of confidence", "python -m training.calibrate")
    if result is None:
        missing("The trade of answers for accuracy", "python -m training.evaluate")
        return
    chart = certainty_charts.risk_coverage(result)
    curve = {int(p): a for p, a in result["risk_coverage"]["accuracy"].items()}
    show(chart, "risk-coverage")
    chosen = st.select_slider(
        "Share of faces that gets an answer",
        sorted(curve),
        value=80,
        format_func=lambda p: f"{p} %",
        key="coverage",
    )
    st.markdown(f"Answering the surest {chosen} %: right {share(curve[chosen])} of the time.")


def _how_honest(model: Measured) -> None:
    section("How honest the heat maps are")
    document = model.faithfulness
    if model.name == ENSEMBLE:
        st.info("This is measured of each model alone. Choose one above.")
        return
    if document is None:
        missing("Faithfulness", "python -m training.explain")
        return
    st.markdown(
        "A map is faithful if hiding the places it marks lowers the answer's probability "
        "(deletion), if showing them alone brings it back (insertion), and if both hold when "
        "hidden places are filled from their neighbours (ROAD). On aligned faces any map that "
        "marks the middle does well, so it is compared with exactly that, the face prior."
    )
    names, opens_with = faithfulness_charts.METHOD_NAMES, next(iter(METHODS))
    method = st.pills(
        "Heat map",
        list(document["gains"]),
        default=opens_with,
        format_func=names.__getitem__,
        key="faithfulness-method",
        required=True,
    )
    show(
        faithfulness_charts.faithfulness(document, method or opens_with),
        "faithfulness",
        f"{document['images']} pictures of {pictures_of(document)}. "
        "Lines: 95 % intervals of a paired bootstrap. Filled: the whole interval is above 0. "
        f"The Photo page opens with {names[opens_with].lower()}.",
    )
    show(
        faithfulness_charts.randomisation(document),
        "randomisation",
        "A map that stays the same when the network forgets everything explains nothing. Dotted: "
        "the limit that we set.",
    )


def _data_and_terms(model: Measured) -> None:
    section("Data and terms")
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
        "Temperature, FER+ head": card.get("temperature", {}).get(SHOWN_PROTOCOL),
        "Licence": pretrained.get("license"),
    }
    rows: list[Row] = [
        {"Of the model": name, "": f"{value:.3f}" if isinstance(value, float) else str(value)}
        for name, value in facts.items()
        if value is not None
    ]
    table(rows)


if __name__ == "__main__":
    main()
