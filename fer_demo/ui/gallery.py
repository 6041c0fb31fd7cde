"""The pictures of one session and what was found in them. Kept until "Clear", in memory alone."""

from __future__ import annotations

import hashlib
import math
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.runtime.scriptrunner import get_script_run_ctx

from fer_demo.draw import resized
from fer_demo.errors import BadImage, Busy
from fer_demo.examples import Example
from fer_demo.images import display_name, full_name, read_photo
from fer_demo.types import COLOUR_SIDE, Analysis, Crops, Photo
from fer_demo.ui import resources

MAX_PICTURES = 20
MAX_PIXELS = 120_000_000
"""Of all pictures of one session together, and of the faces cut out of them: 360 MB of memory."""
KEPT_ANALYSES = 3
"""A picture keeps its latest analyses, so that going back to a setting costs nothing; more where a
comparison needs more: one of each model, and that of all together."""
KEPT_MAPS = 1000
"""Heat maps that a picture keeps, 10 MB at most: those of 50 faces by several methods."""
THUMBNAIL_SIDE = 176
"""px, twice what the page gives it."""
MAX_WAITING = 100_000_000
"""Bytes of the files that found no place and are kept for another try."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Question:
    """What a picture was asked; equal questions have equal answers."""

    model: str
    threshold: float
    added: tuple[Box, ...] = ()
    """Boxes that a person marked, [x1, y1, x2, y2] photo px."""
    whole: bool = False
    """Treat the whole picture as one face."""


@dataclass(slots=True, weakref_slot=True)
class Picture:
    """One picture, named by its content."""

    digest: str
    name: str
    """In full, as exports have it."""
    photo: Photo
    decode_seconds: float = 0.0
    example: str | None = None
    """Id of the example that it is."""
    added: tuple[Box, ...] = ()
    whole: bool = False
    analyses: dict[Question, Analysis] = field(default_factory=dict)
    maps: dict[tuple[str, str, bytes, int], NDArray[np.float32]] = field(default_factory=dict)
    """(h, w) by model, method, grey crop and expression: a face keeps its maps under any setting of
    the detector."""

    _thumbnail: NDArray[np.uint8] | None = field(
        default=None, init=False, compare=False, repr=False
    )

    @property
    def shown_name(self) -> str:
        """As the page has it."""
        return display_name(self.name)

    @property
    def thumbnail(self) -> NDArray[np.uint8]:
        """(THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3) of its middle; made once, as every run shows it."""
        if self._thumbnail is None:
            height, width = self.photo.rgb.shape[:2]
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            middle = self.photo.rgb[top : top + side, left : left + side]
            self._thumbnail = resized(middle, THUMBNAIL_SIDE)
        return self._thumbnail

    def question(self, model: str, threshold: float) -> Question:
        """What is asked of this picture under the page's settings."""
        return Question(model, threshold, self.added, self.whole)

    def with_the_faces_of(self, question: Question) -> Analysis | None:
        """The answer of another model to what is else the same question, if there was one."""
        return next(
            (
                analysis
                for asked, analysis in self.analyses.items()
                if replace(asked, model=question.model) == question
            ),
            None,
        )

    def keep(self, question: Question, analysis: Analysis) -> None:
        """Remember an answer as the latest, forgetting the oldest."""
        self.analyses.pop(question, None)
        while len(self.analyses) >= max(KEPT_ANALYSES, len(resources.models()) + 1):
            del self.analyses[next(iter(self.analyses))]
        for known in self.analyses.values():
            if _same(known.crops, analysis.crops):  # 50 take 7.5 MB, once for all models
                analysis = replace(analysis, crops=known.crops)
        self.analyses[question] = analysis

    def keep_map(self, key: tuple[str, str, bytes, int], values: NDArray[np.float32]) -> None:
        """Remember a heat map, forgetting the oldest."""
        while len(self.maps) >= KEPT_MAPS:
            del self.maps[next(iter(self.maps))]
        self.maps[key] = values


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that did not come among the pictures."""

    name: str
    sentence: str
    """Why, and what to do."""
    data: bytes | None = None
    """The file itself, where another try may help."""
    left_out: bool = False
    """It could be read, and there was no room for it."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class Gallery:
    """All pictures of one session, in the order in which they came."""

    pictures: list[Picture] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    shown: int = 0
    seen_uploads: set[str] = field(default_factory=set)
    uploader_round: int = 0
    """Part of the upload controls' keys: a new round is a new, empty control."""
    snapshots: int = 0
    """Taken since the last Clear, by which they are named."""
    let_in: bool = False
    """A file was read for the run that begins now, so its analysis is not refused a place."""

    @property
    def picture(self) -> Picture | None:
        """The one on show."""
        return self.pictures[self.shown] if self.pictures else None

    def add_file(self, data: bytes, name: str) -> None:
        """Read one file; a refusal is kept beside the pictures."""
        name = full_name(name)
        try:
            with resources.slots().take():
                started = time.perf_counter()  # not before: the wait for a place is no reading
                photo = read_photo(data, name)
                seconds = time.perf_counter() - started
        except BadImage as error:
            self.refused.append(Refusal(name, str(error)))
            return
        except Busy as error:
            sentence = f"{display_name(name)} was not read. {error}"
            self.refused.append(Refusal(name, sentence, self._kept(data)))
            return
        self.let_in = True
        # A file that waited and was chosen again waits no longer.
        self.refused = [one for one in self.refused if one.data != data]
        self._add(Picture(hashlib.sha256(data).hexdigest(), name, photo, seconds), data)

    @property
    def waiting(self) -> list[Refusal]:
        """Those that found no place, to be read with `try_again`."""
        return [one for one in self.refused if one.data is not None]

    def try_again(self) -> None:
        """Read the files that found no place."""
        waiting = self.waiting
        self.refused = [one for one in self.refused if one.data is None]
        for one in waiting:
            self.add_file(one.data or b"", one.name)

    def forget_refusals(self) -> None:
        """They were read by the person; files that found no place go on waiting."""
        self.refused = self.waiting

    def dismiss_refusals(self) -> None:
        """The person wants none of these files."""
        self.refused.clear()

    def add_example(self, example: Example) -> None:
        """Make one of the pictures to try."""
        started = time.perf_counter()
        photo = example.photo()
        digest = hashlib.sha256(photo.rgb.tobytes()).hexdigest()
        seconds = time.perf_counter() - started
        self._add(Picture(digest, example.name, photo, seconds, example.id))

    def _kept(self, data: bytes) -> bytes | None:
        """A file for another try, where not too many wait: a snapshot cannot be taken again."""
        waiting = len(data) + sum(len(one.data or b"") for one in self.refused)
        return data if waiting <= MAX_WAITING else None

    def _add(self, picture: Picture, data: bytes = b"") -> None:
        """Put a picture on show; `data` is the file that it came from."""
        for index, known in enumerate(self.pictures):
            if known.digest == picture.digest:
                self.shown = index
                return
        if why := self._no_room(picture):
            sentence = f"{picture.shown_name} was left out: {why}"
            kept = self._kept(data) if data else None
            self.refused.append(Refusal(picture.name, sentence, kept, left_out=True))
            return
        self.pictures.append(picture)
        self.shown = len(self.pictures) - 1

    def _no_room(self, picture: Picture) -> str | None:
        """Which limit another picture would exceed, and what to do."""
        if len(self.pictures) >= MAX_PICTURES:
            return f"there is room for {MAX_PICTURES} pictures at a time. Remove some first."
        pixels = _pixels([*self.pictures, picture])
        if pixels > MAX_PIXELS:
            return (
                f"there is room for {MAX_PIXELS // 10**6} megapixels of pictures and faces, and "
                f"with it there would be {math.ceil(pixels / 10**6)}. Remove some first."
            )
        if pixels + _pixels_of_others(self) > 1_000_000 * resources.settings().open_megapixels:
            return (
                "visitors have very many pictures open at the moment. Try again in a few minutes."
            )
        return None

    def show(self, picture: Picture) -> None:
        """Put another picture on show; not one that is gone, as a late click may ask."""
        at = (index for index, known in enumerate(self.pictures) if known is picture)
        self.shown = next(at, self.shown)

    def remove(self, picture: Picture) -> None:
        """Forget a picture and everything found in it; where it was on show the next one is."""
        shown = self.picture
        self.pictures = [known for known in self.pictures if known is not picture]
        self.shown = max(0, min(self.shown, len(self.pictures) - 1))
        if shown is not None:
            self.show(shown)

    def clear(self) -> None:
        """Forget all pictures and everything found in them."""
        self.pictures.clear()
        self.refused.clear()
        self.seen_uploads.clear()
        self.shown = self.snapshots = 0
        self.uploader_round += 1


_ALL: weakref.WeakSet[Gallery] = weakref.WeakSet()
"""Of all sessions, to count their pixels; a gallery goes with its session."""
_ALL_LOCK = threading.Lock()


def _same(one: Crops, other: Crops) -> bool:
    """Whether two analyses of a photo cut the same faces out of it."""
    return np.array_equal(one.to_photo, other.to_photo) and np.array_equal(one.grey, other.grey)


def _pixels(pictures: Sequence[Picture]) -> int:
    """Of the photos and of the faces that were cut out of them."""
    photos = sum(picture.photo.width * picture.photo.height for picture in pictures)
    # Each once: analyses of the same faces share them.
    crops = {id(a.crops): a.crops for p in pictures for a in list(p.analyses.values())}
    return photos + sum(len(one) * COLOUR_SIDE**2 for one in crops.values())


def _pixels_of_others(mine: Gallery) -> int:
    with _ALL_LOCK:
        others = [gallery for gallery in _ALL if gallery is not mine]
    return sum(_pixels(list(gallery.pictures)) for gallery in others)


def gallery() -> Gallery:
    """This session's gallery."""
    if "gallery" not in st.session_state:
        st.session_state["gallery"] = Gallery()
        with _ALL_LOCK:
            _ALL.add(st.session_state["gallery"])
    return st.session_state["gallery"]


def forget_upload(file_id: str) -> None:
    """Free the server's copy of an upload that has been read.

    Streamlit keeps it until the session ends, long after "Clear"; the page needs it once.
    """
    context = get_script_run_ctx()
    remove = getattr(getattr(context, "uploaded_file_mgr", None), "remove_file", None)
    if context is not None and remove is not None:
        remove(session_id=context.session_id, file_id=file_id)
