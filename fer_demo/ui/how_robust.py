"""How robust a model is: a section of the Models page."""

from __future__ import annotations

import streamlit as st

from fer_demo import robustness_charts
from fer_demo.ensemble import ENSEMBLE
from fer_demo.measured import Json, Measured
from fer_demo.quality import SMALL_SIDE, TURNED_ABOVE
from fer_demo.types import SHOWN_PROTOCOL
from fer_demo.ui.figures import missing, section, show, table


def how_robust(model: Measured) -> None:
    """Spoiled pictures, small and turned faces, and what the model was not made for."""
    section("How robust")
    result = model.heads.get(SHOWN_PROTOCOL, {})
    _corruptions(result)
    _small(result)
    _turned(result)
    _outside(model)


def _corruptions(result: Json) -> None:
    if "corruptions" not in result:
        missing("Robustness", "python -m training.evaluate --corruptions")
        return
    show(
        robustness_charts.corruptions(result),
        "corruptions",
        "Accuracy on the same pictures, spoiled at three strengths, as a camera might.",
    )


def _small(result: Json) -> None:
    if "small_faces" not in result:
        missing("Accuracy on small faces", "python -m training.evaluate --small-faces")
        return
    show(
        robustness_charts.small_faces(result),
        "small-faces",
        "The same faces, as wide in a photo as given and cut out of it as the app does; whether "
        f"they would be found is not counted. The app warns below {SMALL_SIDE:.0f} px.",
    )


def _turned(result: Json) -> None:
    if not any(entry["n"] for entry in result.get("pose", {}).get("yaw", {}).values()):
        missing("Accuracy on turned faces", "python -m training.evaluate --by-pose")
        return
    show(
        robustness_charts.turned_faces(result),
        "turned-faces",
        "Turned: how far the nose lies sideways from between the eyes, in distances of the eyes; "
        f"0 is frontal. The app warns above {TURNED_ABOVE:.2f}, about 35 degrees.",
    )


def _outside(model: Measured) -> None:
    if model.name == ENSEMBLE:
        return  # measured of each model alone
    if model.outside is None:
        missing("What it does with drawings, masks and the like", "python -m training.outside")
        return
    title, rows = robustness_charts.outside(model.outside)
    st.markdown(f"#### {title}", anchors=False)
    st.caption(
        "Percent of the pictures of each kind (how many) in which a face was found, the person "
        "warned, or an expression named without a warning. Right is what people called the "
        "photograph that a picture was made of. Statues and backs of heads were not measured."
    )
    table(rows)
