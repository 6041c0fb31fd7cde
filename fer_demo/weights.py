"""Where networks come from, and the checks that they pass before anything is asked of them.

A weights folder is a timm Hub repository as it stands: `config.json` and `model.safetensors`, with
a `manifest.json` of sha256 and size. safetensors only: a pickle could run code.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from huggingface_hub import constants

from fer_demo import hub
from fer_demo.errors import ModelUnavailable
from fer_demo.hub import Fetched, HubError, Progress
from fer_demo.settings import Settings
from fer_demo.types import ModelCard
from fer_demo.verify import FILES, Refused, verify

BUNDLED = Path(__file__).parent / "weights"
DEFAULT = "resnet18"
"""Of the bundled networks the one that live video and a stand-in begin with, where it is there."""

DETECTOR_REPO = "opencv/face_detection_yunet"
DETECTOR_REVISION = "3cc26e7f1014a5ee5d74a42acee58bafc9d0a310"
DETECTOR_FILE = "face_detection_yunet_2023mar.onnx"
DETECTOR_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
DETECTOR_DEADLINE = 15.0
"""Seconds: 230 kB, and a simpler detector stands by."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WeightsFolder:
    """Weights that passed every check, and what they say of themselves."""

    path: Path
    card: ModelCard
    notice: str | None = None
    """A sentence for the person where these are not the weights that were asked for."""


def model_names(settings: Settings) -> tuple[str, ...]:
    """The models there are, the default first: Hub repositories if any are named, else folders.

    Raises:
        ModelUnavailable: there is none.
    """
    names = settings.hub_repos or _bundled_names()
    if not names:
        raise ModelUnavailable("No weights are bundled. Train some, or name a Hub repository.")
    return names


def open_weights(name: str, settings: Settings, progress: Progress | None = None) -> WeightsFolder:
    """The named weights, verified.

    Where a Hub repository cannot be had or must not be trusted, bundled weights serve and
    `notice` says so.

    Args:
        name: one of `model_names(settings)`.
        progress: called with bytes done and bytes in all while weights are fetched.

    Raises:
        ModelUnavailable: there are none of that name, or they fail a check and no others serve.
    """
    if name not in model_names(settings):
        choice = ", ".join(model_names(settings))
        raise ModelUnavailable(f'There is no model "{name}". Choose one of: {choice}.')
    if name not in settings.hub_repos:
        return _open_bundled(name)
    try:
        return _open_hub(name, settings, progress)
    except ModelUnavailable as error:
        instead = _bundled_for(name)
        if instead is None:
            raise
        notice = f"{error} The bundled {instead} serves instead."
        return dataclasses.replace(_open_bundled(instead), notice=notice)


def detector_file(settings: Settings, progress: Progress | None = None) -> Path:
    """YuNet's file, from the cache or the Hub.

    Raises:
        ModelUnavailable: it could not be had in time, or was not the right file.
    """

    def check(fetched: Fetched) -> Path:
        path = fetched.folder / DETECTOR_FILE
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            raise Refused("its file cannot be read") from None
        if digest != DETECTOR_SHA256:
            raise Refused("its file was damaged on its way and was deleted")
        return path

    files = (DETECTOR_FILE,)
    deadline = min(settings.hub_deadline, DETECTOR_DEADLINE)
    fetch = partial(hub.fetch, DETECTOR_REPO, files, DETECTOR_REVISION, deadline, progress)
    return _checked("The face detector YuNet was", files, fetch, check)


def card_url(card: ModelCard) -> str | None:
    """Where the Hub shows the model card of weights that came from there."""
    repo, _, commit = card.source.partition("@")
    return f"{constants.ENDPOINT}/{repo}/blob/{commit}/README.md" if commit else None


def _open_hub(name: str, settings: Settings, progress: Progress | None) -> WeightsFolder:
    repo, _, revision = name.partition("@")

    def check(fetched: Fetched) -> WeightsFolder:
        card = verify(fetched.folder, repo, f"{repo}@{fetched.commit}")
        return WeightsFolder(fetched.folder, card, fetched.notice)

    fetch = partial(hub.fetch, repo, FILES, revision or None, settings.hub_deadline, progress)
    return _checked(f"The weights of {repo} were", FILES, fetch, check)


def _checked(
    subject: str, files: Sequence[str], fetch: Callable[[], Fetched], check: Callable[[Fetched], T]
) -> T:
    """What `check` makes of fetched files; those that it refuses are deleted.

    A refused copy from the cache is fetched once more: perhaps only that is damaged.

    Args:
        subject: how a sentence about its failure begins.
        files: what `fetch` fetches.
    """
    while True:
        try:
            fetched = fetch()
        except HubError as error:
            raise ModelUnavailable(f"{subject} not fetched: {error}") from None
        try:
            return check(fetched)
        except Refused as error:
            deleted = hub.discard(fetched.folder, files)
            if fetched.fresh or not deleted:
                raise ModelUnavailable(f"{subject} refused: {error}.") from None


def _bundled_names() -> tuple[str, ...]:
    folders = (path.parent.name for path in BUNDLED.glob("*/config.json"))
    return tuple(sorted(folders, key=lambda name: (name != DEFAULT, name)))


def _bundled_for(hub_name: str) -> str | None:
    """Bundled weights to stand in for a Hub repository, of the same architecture by its name."""
    names = _bundled_names()
    return next((name for name in names if name in hub_name), names[0] if names else None)


def _open_bundled(name: str) -> WeightsFolder:
    folder = BUNDLED / name
    try:
        return WeightsFolder(folder, verify(folder, name, "bundled"))
    except Refused as error:
        raise ModelUnavailable(f"The bundled weights {name} were refused: {error}.") from None
