"""Measure what the app does with faces that it was not made for, and write it as JSON.

    python -m training.outside --weights DIR --data DIR --json OUT [--images 200]

Each kind goes through the whole pipeline, detector and warnings included: photographs of FER2013's
PublicTest as they are, and turned into cartoons, pencil drawings, faces with a mask or sunglasses
and upside-down ones; faces that are drawn by code; what FER+'s annotators called no face; and cuts
of scikit-image's textures and things. What is made of photographs keeps their labels, so that it
can be told how often a confident answer is right. Statues and backs of heads are not measured:
there are no pictures of them here that may be used.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data as skimage_data

from fer_demo.classifier import Classifier, load_classifier
from fer_demo.faces import FaceDetector, load_detector
from fer_demo.pipeline import analyse
from fer_demo.scaling import scaled
from fer_demo.settings import Settings
from fer_demo.types import Photo
from training.command import add_data, add_weights, parser_of, told
from training.data import read_split, votes_of
from training.folder import verified_folder
from training.formats import LabelledFaces
from training.record import write_json
from training.votes import ferplus7_label

SIDE = 192
"""px: at 4x YuNet finds 99 % of FER2013's faces."""

NO_FACE_VOTES = 5
"""Of ten annotators, who said that there is no face."""

THINGS = ("brick", "camera", "chelsea", "clock", "coffee", "coins", "grass", "gravel", "page")
"""Of scikit-image, in its package."""

Grey = NDArray[np.uint8]

# Median places of FER2013's landmarks, in a picture of SIDE px.
EYES = np.array([(0.304, 0.380), (0.683, 0.384)]) * SIDE


def photograph(crop: Grey) -> Grey:
    """(48, 48) to (SIDE, SIDE)."""
    return np.asarray(cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


def cartoon(face: Grey) -> Grey:
    """OpenCV's stylization (Gastal & Oliveira 2011)."""
    return _grey(cv2.stylization(_colour(face), sigma_s=60, sigma_r=0.45))


def pencil(face: Grey) -> Grey:
    """OpenCV's pencil sketch."""
    return np.asarray(
        cv2.pencilSketch(_colour(face), sigma_s=60, sigma_r=0.07, shade_factor=0.05)[0], np.uint8
    )


def posterised(face: Grey) -> Grey:
    """Four grey levels with dark outlines, as in a comic."""
    smooth = cv2.bilateralFilter(face, 9, 60, 9)
    outline = cv2.adaptiveThreshold(
        cv2.medianBlur(face, 7), 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 9, 4
    )
    return np.asarray(np.where(outline == 0, 0, smooth // 64 * 64 + 32), np.uint8)


def masked(face: Grey, cloth: int = 200, pleats: int = 175) -> Grey:
    """A surgical mask over nose and mouth, of these grey levels."""
    out = face.copy()
    outline = [(0.12, 0.52), (0.49, 0.47), (0.86, 0.52), (0.84, 0.8), (0.5, 0.99), (0.14, 0.8)]
    cv2.fillPoly(out, [(np.array(outline) * SIDE).astype(np.int32)], cloth, cv2.LINE_AA)
    for height in (0.62, 0.72, 0.82):
        ends = (int(0.2 * SIDE), int(height * SIDE)), (int(0.78 * SIDE), int(height * SIDE))
        cv2.line(out, *ends, pleats, 2, cv2.LINE_AA)
    return out


def sunglasses(face: Grey) -> Grey:
    """Dark glasses over the eyes."""
    out = face.copy()
    for x, y in EYES.astype(int).tolist():
        cv2.ellipse(out, (x, y + 4), (34, 24), 0, 0, 360, 15, -1, cv2.LINE_AA)
    (left, top), (right, bottom) = EYES.astype(int).tolist()
    cv2.line(out, (left, top), (right, bottom), 15, 6, cv2.LINE_AA)
    return out


def upside_down(face: Grey) -> Grey:
    """As the name says."""
    return np.ascontiguousarray(face[::-1])


MADE_OF_PHOTOGRAPHS: dict[str, Callable[[Grey], Grey]] = {
    "photographs": lambda face: face,
    "cartoons of photographs": cartoon,
    "pencil drawings of photographs": pencil,
    "photographs as a comic": posterised,
    "with a mask": masked,
    "with a dark mask": lambda face: masked(face, 40, 30),
    "with sunglasses": sunglasses,
    "upside down": upside_down,
}


def drawn(generator: np.random.Generator) -> Grey:
    """A simple face: oval, hair, brows, eyes, nose, mouth, each of a random shape."""

    def between(low: int, high: int) -> int:
        return int(generator.integers(low, high))

    out = np.full((SIDE, SIDE), between(0, 256), np.uint8)
    ink, skin = between(0, 60), between(120, 256)
    x, y = 96 + between(-6, 7), between(72, 84)
    oval = (between(66, 84), between(78, 92))
    cv2.ellipse(out, (x, 100), oval, 0, 0, 360, skin, -1, cv2.LINE_AA)
    cv2.ellipse(out, (x, 100), oval, 0, 0, 360, ink, between(1, 5), cv2.LINE_AA)
    if between(0, 2):
        cv2.ellipse(out, (x, 40), (78, 44), 0, 180, 360, ink, -1, cv2.LINE_AA)
    apart, slant, white = between(28, 38), between(-8, 9), between(0, 2)
    for side in (-1, 1):
        eye = (x + side * apart, y)
        if white:
            cv2.ellipse(out, eye, (15, 10), 0, 0, 360, 255, -1, cv2.LINE_AA)
            cv2.ellipse(out, eye, (15, 10), 0, 0, 360, ink, 2, cv2.LINE_AA)
        cv2.circle(out, eye, between(4, 9), ink, -1, cv2.LINE_AA)
        brow = (eye[0] - 16, y - 22 + side * slant), (eye[0] + 16, y - 22 - side * slant)
        cv2.line(out, *brow, ink, between(2, 6), cv2.LINE_AA)
    nose = np.array([[x, 92], [x - 8, 118], [x + 4, 120]], np.int32)
    cv2.polylines(out, [nose], False, ink, 2, cv2.LINE_AA)
    mouth = between(0, 4)
    if mouth == 0:  # a smile
        cv2.ellipse(out, (x, 137), (30, 18), 0, 15, 165, ink, 3, cv2.LINE_AA)
    elif mouth == 1:  # turned down
        cv2.ellipse(out, (x, 159), (30, 18), 0, 195, 345, ink, 3, cv2.LINE_AA)
    elif mouth == 2:  # open
        cv2.ellipse(out, (x, 145), (14, 18), 0, 0, 360, ink, -1, cv2.LINE_AA)
    else:
        cv2.line(out, (x - 26, 145), (x + 26, 145), ink, 3, cv2.LINE_AA)
    return out


def thing(generator: np.random.Generator) -> Grey:
    """A square cut of something that is no face."""
    picture = getattr(skimage_data, THINGS[generator.integers(len(THINGS))])()
    grey = _grey(picture) if picture.ndim == 3 else np.asarray(picture, np.uint8)
    side = int(generator.integers(60, min(grey.shape) + 1))
    top, left = (int(generator.integers(0, length - side + 1)) for length in grey.shape)
    cut = grey[top : top + side, left : left + side]
    return scaled(cut, SIDE / side)


def kinds(
    splits: list[LabelledFaces], images: int
) -> Iterator[tuple[str, list[Grey], NDArray[np.int64] | None]]:
    """Up to `images` pictures of each kind, (SIDE, SIDE), and `ferplus7` labels of those who have.

    Args:
        splits: PublicTest first; those after it only lend what is no face.
    """
    generator = np.random.default_rng(0)
    test = splits[0]
    label = ferplus7_label(votes_of(test))
    faces = np.flatnonzero(label >= 0)
    chosen = generator.choice(faces, min(images, len(faces)), replace=False)
    photographs = [photograph(crop) for crop in test.grey[chosen]]
    for name, change in MADE_OF_PHOTOGRAPHS.items():
        yield name, [change(face) for face in photographs], label[chosen]
    yield "faces drawn by code", [drawn(generator) for _ in range(images)], None
    nothing = [split.grey[votes_of(split)[:, -1] >= NO_FACE_VOTES] for split in splits]
    yield (
        "no face, by its annotators",
        [photograph(crop) for crop in np.unique(np.concatenate(nothing), axis=0)[:images]],
        None,
    )
    yield "textures and things", [thing(generator) for _ in range(images)], None


def measure(
    pictures: list[Grey],
    label: NDArray[np.int64] | None,
    detector: FaceDetector,
    classifier: Classifier,
) -> dict[str, Any]:
    """Shares of the pictures in which a face was found, answered for, and warned of.

    `unwarned` is answered for and not warned of, `right` that and rightly so: None without labels.
    """
    found = answered = warned = unwarned = right = 0
    words: Counter[str] = Counter()
    for i, picture in enumerate(pictures):
        analysis = analyse(Photo(np.repeat(picture[..., None], 3, axis=2)), detector, classifier)
        if not len(analysis):
            continue
        first = int(np.argmax(analysis.faces.score))
        sure, warnings = not analysis.is_uncertain(first), analysis.warnings[first]
        found, answered, warned = found + 1, answered + sure, warned + bool(warnings)
        if sure and not warnings:
            unwarned += 1
            right += (
                label is not None and int(analysis.predictions.probs[first].argmax()) == label[i]
            )
        words.update(warnings)
    n = len(pictures)
    counts = {"found": found, "answered": answered, "warned": warned, "unwarned": unwarned}
    return {
        "n": n,
        **{name: round(count / max(n, 1), 5) for name, count in counts.items()},
        "right": None if label is None else round(right / max(n, 1), 5),
        "warnings": {word: round(count / n, 5) for word, count in words.most_common()},
    }


def _colour(grey: Grey) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


def _grey(colour: Any) -> Grey:
    return np.asarray(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), np.uint8)


def summary(document: dict[str, Any]) -> str:
    """The table for people."""
    titles = f"{'found':>7}{'answered':>10}{'warned':>8}{'neither':>9}{'right':>7}"
    lines = [f"{'percent':32}{'n':>5}{titles}"]
    for name, kind in document["kinds"].items():
        shares = [100 * kind[key] for key in ("found", "answered", "warned", "unwarned")]
        known = kind["right"] is not None and kind["unwarned"] > 0
        right = f"{100 * kind['right'] / kind['unwarned']:.0f}" if known else "–"
        lines.append(
            f"{name:32}{kind['n']:5}{shares[0]:7.0f}{shares[1]:10.0f}{shares[2]:8.0f}"
            f"{shares[3]:9.0f}{right:>7}"
        )
    lines.append("neither: answered, without a warning and not as uncertain; right: of these")
    return "\n".join(lines)


@told
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = parser_of("outside", __doc__)
    add_weights(parser)
    add_data(parser)
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    parser.add_argument("--images", type=int, default=200)
    given = parser.parse_args(arguments)
    settings = Settings.from_environment()
    weights = verified_folder(given.weights)
    classifier = load_classifier(weights, settings)
    detector = load_detector(settings)
    splits = [read_split(given.data, name) for name in ("public_test", "train")]
    found = {
        name: measure(pictures, label, detector, classifier)
        for name, pictures, label in kinds(splits, given.images)
    }
    document = {
        "weights": weights.card.name,
        "sha256": weights.card.sha256,
        "detector": detector.name,
        "kinds": found,
    }
    print(summary(document))
    write_json(given.json, document)


if __name__ == "__main__":
    sys.exit(main())
