"""What all sessions share: settings, networks, the face detector. Made once, thread-safe."""

from __future__ import annotations

import streamlit as st

from fer_demo.classifier import Predictor, load_classifier
from fer_demo.faces import FaceDetector, load_detector
from fer_demo.hub import Progress
from fer_demo.settings import Settings
from fer_demo.types import ModelCard
from fer_demo.weights import model_names, open_weights


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """The environment, read once."""
    return Settings.from_environment()


def models() -> tuple[str, ...]:
    """Names to choose from.

    Raises:
        ModelUnavailable: there is none.
    """
    return model_names(settings())


@st.cache_resource(show_spinner=False, max_entries=4)
def classifier(name: str, _progress: Progress | None = None) -> Predictor:
    """The named model, loaded and warm; `_progress` is told of a download.

    Raises:
        ModelUnavailable: its weights cannot be had.
    """
    return load_classifier(open_weights(name, settings(), _progress), settings())


def cards() -> tuple[ModelCard, ...]:
    """What each model says of itself; loads none of them.

    Raises:
        ModelUnavailable: the weights of one cannot be had.
    """
    return tuple(open_weights(name, settings()).card for name in model_names(settings()))


@st.cache_resource(show_spinner=False)
def detector(_progress: Progress | None = None) -> FaceDetector:
    """The best face detector that can be had here; `_progress` is told of a download."""
    return load_detector(settings(), _progress)
