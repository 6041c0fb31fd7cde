"""The heat maps of the Photo page: which method, held against what, and the maps themselves.

A map is computed once, when it is first asked for: for each face and expression, or for all seven
expressions where one run serves them all. It then stays with the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from fer_demo.classifier import load_network
from fer_demo.draw import colour_bar
from fer_demo.ensemble import ENSEMBLE, EVIDENCE_NAME, average_evidence
from fer_demo.faithfulness_charts import worth
from fer_demo.measured import faithfulness_of
from fer_demo.saliency import (
    GradientMaps,
    Maps,
    grey_crops,
    nearest_other,
    occlusion,
    signed_scale,
)
from fer_demo.types import EXPRESSIONS, Analysis
from fer_demo.ui import resources
from fer_demo.ui.gallery import Picture


@dataclass(frozen=True, slots=True)
class Method:
    """One way to draw where an answer comes from."""

    name: str
    shows: str
    costs: str
    places: str
    """Of the grid that is computed."""
    signed: bool = True
    of_several: str = ""
    """What `shows` is of several models together, where that is something else."""


METHODS = {
    "influence": Method(
        "Influence",
        "What each place brings to the score, against the same face blurred.",
        "Three passes there and back for each face.",
        "24 x 24 places, each of them a soft patch",
    ),
    "evidence": Method(
        "Evidence",
        "The network's own last sum, place by place, exactly; signed Grad-CAM. Coarse.",
        "Free: it comes with the answer.",
        "{width} x {height} places",
        of_several="Each network's own last sum, place by place; signed Grad-CAM. Coarse.",
    ),
    "layer_cam": Method(
        "LayerCAM",
        "A finer, earlier layer; what speaks for the expression, never what speaks against it.",
        "One pass and a short one back for each face.",
        "{width} x {height} places",
        signed=False,
    ),
    "occlusion": Method(
        "Occlusion",
        "How much the score falls when a place is covered, tried out.",
        "50 passes for each face.",
        "49 overlapping patches",
    ),
}
"""The first is the default."""

ASKED_TOGETHER = "occlusion"
"""Tries out what several models say as one; of every other method their maps are averaged."""

NOTHING, RUNNER_UP = "no other", "the nearest other"


@dataclass(frozen=True, slots=True)
class Look:
    """How the crops are shown."""

    method: str
    against: str
    """NOTHING, RUNNER_UP, or an expression."""
    grid: bool
    regions: bool
    opacity: float
    """In [0, 1]."""
    grey: bool
    """The 48 px crop that the network saw."""

    @property
    def signed(self) -> bool:
        """Whether a map can be below zero."""
        return METHODS[self.method].signed or self.against != NOTHING


def look_controls(picture: Picture, model: str, analysis: Analysis) -> tuple[Look, float]:
    """The row above the cards; everything beyond the default is in one popover.

    Args:
        model: the name under which `resources` has what answered.

    Returns:
        The look, and the magnitude that is drawn in full colour: one for the whole picture, by
        the maps of the expressions that were named.
    """
    progress = st.empty()
    with st.container(key="look", horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(width=190, gap="xxsmall"):
            with st.popover(
                "Heat map", icon=":material/layers:", key="map-settings", width="stretch"
            ):
                method, against, grid, regions = _map_controls(model)
            legend = st.container(gap="xxsmall", key="legend")
        percent = st.slider(
            "Opacity", 0, 100, 60, 5, format="%d %%", key="opacity", bind="query-params", width=150
        )
        grey = st.toggle(
            "What the network saw",
            key="grey",
            bind="query-params",
            help="The 48 x 48 grey pixels that the network was given.",
        )
    look = Look(method, against, grid, regions, percent / 100, grey)
    every = range(len(analysis))
    scale = signed_scale(
        maps_of(picture, model, analysis, look, every, analysis.predictions.top, progress)
    )
    with legend:
        _legend(look, scale, model)
    return look, scale


def described(method: str, model: str) -> Method:
    """A method as it works for a model: of several together most maps are an average of theirs.

    Its name stays, since links hold it.
    """
    plain = METHODS[method]
    if model != ENSEMBLE:
        return plain
    shows = plain.of_several or plain.shows
    if method != ASKED_TOGETHER:
        shows = f"{shows} {EVIDENCE_NAME.capitalize()}."
    return replace(
        plain, shows=shows, costs=plain.costs.replace("each face", "each face and model")
    )


def _map_controls(model: str) -> tuple[str, str, bool, bool]:
    methods = [described(name, model) for name in METHODS]
    method = st.radio(
        "What the map shows",
        list(METHODS),
        format_func=lambda name: METHODS[name].name,
        captions=[f"{method.shows} {method.costs}" for method in methods],
        key="map-method",
        bind="query-params",
    )
    said = _worth(model, method)
    if said:
        st.caption(said)
    against = st.selectbox(
        "Held against",
        (NOTHING, RUNNER_UP, *EXPRESSIONS),
        key="map-against",
        bind="query-params",
        help="Why happy and not surprise: the difference of the two maps.",
    )
    grid = st.toggle(
        "Show the grid",
        key="map-grid",
        bind="query-params",
        help="The places that were computed, without the smooth transitions between them.",
    )
    regions = st.toggle(
        "Sum up by region",
        key="map-regions",
        bind="query-params",
        help="How much of the map lies around eyes and brows, nose and mouth.",
    )
    return method, against or NOTHING, grid, regions


def _legend(look: Look, scale: float, model: str) -> None:
    method = described(look.method, model)
    st.markdown(
        f":small[{method.name}]",
        help=f"{method.shows} In logits, on one scale for the whole picture.",
    )
    if model == ENSEMBLE and look.method != ASKED_TOGETHER:
        st.caption(EVIDENCE_NAME)
    ends = "teal speaks against the expression, purple for it, clear for neither"
    st.image(
        colour_bar(signed=look.signed),
        width="stretch",
        alt=f"Colour bar of the heat map: {ends if look.signed else 'purple speaks for it'}.",
    )
    with st.container(horizontal=True, horizontal_alignment="distribute", gap=None):
        if look.signed:
            st.caption(f"against −{scale:.2g}", width="content")
        st.caption("0", width="content")
        st.caption(f"for +{scale:.2g}", width="content")


def maps_of(
    picture: Picture,
    model: str,
    analysis: Analysis,
    look: Look,
    faces: Sequence[int],
    classes: Sequence[int] | np.ndarray,
    progress: DeltaGenerator,
) -> Maps:
    """(F, h, w): for each of some faces the map for one expression under a look.

    What is not known yet is computed in one visit, with a bar at `progress`.

    Raises:
        Busy: there was no place for the computation.
    """
    if not len(faces):
        return np.zeros((0, 1, 1), np.float32)
    wanted = [(face, int(k)) for face, k in zip(faces, classes, strict=True)]
    with resources.slots().visit():
        plain = _known(picture, model, analysis, look.method, wanted, progress)
        if look.against == NOTHING:
            return plain
        others = [(face, against(analysis, look, face, k)) for face, k in wanted]
        return plain - _known(picture, model, analysis, look.method, others, progress)


def against(analysis: Analysis, look: Look, face: int, chosen: int) -> int:
    """The expression that another is held against; none is held against itself."""
    if look.against in EXPRESSIONS and look.against != EXPRESSIONS[chosen]:
        return EXPRESSIONS.index(look.against)
    return int(nearest_other(analysis.predictions.probs)[face, chosen])


def what(analysis: Analysis, look: Look, face: int, chosen: int) -> str:
    """What a map speaks for: "happy", or "happy and not sad"."""
    if look.against == NOTHING:
        return EXPRESSIONS[chosen]
    return f"{EXPRESSIONS[chosen]} and not {EXPRESSIONS[against(analysis, look, face, chosen)]}"


def _known(
    picture: Picture,
    model: str,
    analysis: Analysis,
    method: str,
    wanted: Sequence[tuple[int, int]],
    progress: DeltaGenerator,
) -> Maps:
    """(F, h, w) of (face, expression) pairs."""
    if method == "evidence":
        return np.stack([analysis.predictions.evidence[face, k] for face, k in wanted])
    maps = []
    for done, (face, k) in enumerate(wanted):
        crop = analysis.crops.grey[face]
        key = (model, method, crop.tobytes(), k)
        if key not in picture.maps:
            if done:  # the first is there before a bar could be read
                text = f"{METHODS[method].name}: face {done + 1} of {len(wanted)}"
                progress.progress(done / len(wanted), text)
            with resources.slots().take():
                _compute(picture, model, method, crop, k)
        maps.append(picture.maps[key])
    progress.empty()
    return np.stack(maps)


def _compute(picture: Picture, model: str, method: str, crop: np.ndarray, k: int) -> Maps:
    """The map of one face and expression, which the picture keeps; all seven, where one run finds
    them, and those of each member, of which several models' map is the mean."""
    key = (model, method, crop.tobytes(), k)
    if key in picture.maps:
        return picture.maps[key]
    crops, classes = grey_crops(crop[None]), np.array([[k]])
    if method == ASKED_TOGETHER:
        for kind, one in enumerate(occlusion(resources.classifier(model), crops)[0]):
            picture.keep_map((*key[:3], kind), one)
        return picture.maps[key]
    members = resources.members(model)
    if len(members) > 1:
        each = [_compute(picture, name, method, crop, k)[None, None] for name in members]
        found = average_evidence(each)[0, 0]
    else:
        network = _gradient_maps(members[0])
        find = network.influence if method == "influence" else network.layer_cam
        found = find(crops, classes)[0, 0]
    picture.keep_map(key, found)
    return found


@st.cache_resource(show_spinner=False, max_entries=8)
def _gradient_maps(name: str) -> GradientMaps:
    """A network of its own: the classifier's engine keeps no gradients."""
    return GradientMaps(load_network(resources.weights(name)))


def _worth(model: str, method: str) -> str | None:
    """What was measured of a method on the model in use; nothing of several models together."""
    members = resources.members(model)
    if len(members) > 1:
        return None
    document = _measured(resources.weights(members[0]).card.sha256)
    return None if document is None else worth(document, method)


@st.cache_data(show_spinner=False, max_entries=8)
def _measured(sha256: str) -> dict[str, Any] | None:
    try:
        document = faithfulness_of(sha256)
    except ValueError:  # the Models page says so; the maps themselves are whole
        return None
    return None if document is None else dict(document)
