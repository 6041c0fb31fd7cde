"""What all sessions share: settings, networks, the face detector. Made once, thread-safe."""

from __future__ import annotations

from functools import partial

import streamlit as st

from fer_demo.classifier import Classifier, Predictor, load_classifier
from fer_demo.ensemble import Ensemble, ensemble_of
from fer_demo.faces import FaceDetector, load_detector
from fer_demo.hub import Progress
from fer_demo.predictors import load_predictor, member_names, predictor_names
from fer_demo.settings import Settings
from fer_demo.slots import Slots
from fer_demo.ui.once import Once
from fer_demo.weights import WeightsFolder, model_names, open_weights


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """The environment, read once; Streamlit's secrets, where there are any, are part of it."""
    st.secrets.load_if_toml_exists()
    return Settings.from_environment()


@st.cache_resource(show_spinner=False)
def slots() -> Slots:
    """One place for each core, of all sessions together."""
    return Slots(settings().threads)


def models() -> tuple[str, ...]:
    """Names of the models, each by itself; the first is the default.

    Live video chooses among these: all together would cost every frame as much as all of them, and
    smoothing over time steadies its answers already.

    Raises:
        ModelUnavailable: there is none.
    """
    return model_names(settings())


def predictors() -> tuple[str, ...]:
    """Names of all that can answer for a photo: the models, and all of them together.

    Raises:
        ModelUnavailable: there is none.
    """
    return predictor_names(settings())


def members(name: str) -> tuple[str, ...]:
    """The models that answer under a name of `predictors`."""
    return member_names(name, settings())


def classifier(name: str, progress: Progress | None = None) -> Predictor:
    """What answers under a name of `predictors`, loaded and warm; `progress` hears of a download.

    Raises:
        ModelUnavailable: its weights cannot be had.
    """
    return load_predictor(name, settings(), partial(_network, progress=progress))


def ensemble() -> Ensemble:
    """All models as one; needs two or more.

    Raises:
        ModelUnavailable: the weights of one cannot be had.
    """
    return ensemble_of([_network(name) for name in models()])


@Once
def _network(name: str, progress: Progress | None) -> Classifier:
    """One model, loaded and warm."""
    return load_classifier(weights(name, progress=progress), settings())


@Once
def weights(name: str, progress: Progress | None) -> WeightsFolder:
    """The named model's verified weights and their card.

    Raises:
        ModelUnavailable: they cannot be had.
    """
    return open_weights(name, settings(), progress)


@Once
def detector(progress: Progress | None) -> FaceDetector:
    """The best face detector that can be had here."""
    return load_detector(settings(), progress)
