"""The pipeline without a browser: `python -m fer_demo analyse PATH...`."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fer_demo import bench
from fer_demo.classifier import Classifier, Predictor, load_classifier
from fer_demo.draw import percent
from fer_demo.ensemble import ENSEMBLE
from fer_demo.errors import FerDemoError, ModelUnavailable
from fer_demo.export import annotated_png, to_csv, to_record
from fer_demo.faces import DEFAULT_THRESHOLD, FaceDetector, load_detector
from fer_demo.hub import Progress
from fer_demo.images import MAX_BYTES, display_name, read_photo
from fer_demo.pipeline import analyse
from fer_demo.predictors import load_predictor, predictor_names
from fer_demo.settings import Settings
from fer_demo.types import Analysis
from fer_demo.weights import open_weights

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".heif"}
"""What is taken from a folder; a file that is named itself is always tried."""

ANNOTATED = re.compile(r"\d{3,}-.*\.png")
"""The names of what `analyse --out` writes."""


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 1 if a picture was not read, 2 if nothing ran."""
    parser = argparse.ArgumentParser(prog="python -m fer_demo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("analyse", help="name the expressions in pictures")
    command.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="pictures or folders")
    command.add_argument("--model", help=f"name of the weights, or {ENSEMBLE}")
    command.add_argument("--threshold", type=float, default=DEFAULT_THRESHOLD, help="of the faces")
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    command.add_argument("--out", type=Path, metavar="DIR", help="annotated pictures and a CSV")
    bench.add_arguments(commands.add_parser("bench", help="measure the app on this machine"))
    given = parser.parse_args(arguments)
    try:
        return bench.run(given) if given.command == "bench" else _analyse(given)
    except FerDemoError as error:
        print(error, file=sys.stderr)
    except BrokenPipeError:  # whoever reads, as `head` does, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end
        return 0
    except OSError as error:  # where it was to write
        print(f"{error.filename or 'the output'}: {error.strerror}.", file=sys.stderr)
    return 2


def _analyse(given: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
    files = list(_pictures(given.paths, given.out))
    if not files:  # before the models are loaded for nothing
        folders = ", ".join(_printable(path) for path in given.paths)
        print(f"No picture was found in {folders}.", file=sys.stderr)
        return 2
    with ThreadPoolExecutor(1) as pool:  # the detector may have to come over the network
        detector_to_be = pool.submit(load_detector, settings)
        classifier = _load_predictor(given.model, settings)
        detector = detector_to_be.result()
    if detector.notice:
        print(detector.notice, file=sys.stderr)
    records: list[dict[str, Any]] = []
    for number, path in enumerate(tqdm(files, unit="picture", disable=not sys.stderr.isatty()), 1):
        record, analysis = _analyse_file(
            path, number, detector, classifier, given.threshold, settings.max_faces
        )
        records.append(record)
        said = json.dumps(record, ensure_ascii=False) if given.json else as_text(record)
        print(said, flush=True)
        if given.out and analysis is not None:
            target = given.out / f"{number:03d}-{Path(record['image']).stem[:50]}.png"
            target.write_bytes(annotated_png(analysis))
    if given.out:
        (given.out / "faces.csv").write_bytes(to_csv(records))
    return int(any("error" in record for record in records))


def _load_predictor(name: str | None, settings: Settings) -> Predictor:
    def load(one: str) -> Classifier:
        with _fetching(one) as progress:
            weights = open_weights(one, settings, progress)
        if weights.notice:
            print(weights.notice, file=sys.stderr)
        return load_classifier(weights, settings)

    names = predictor_names(settings)
    if name is not None and name not in names:
        raise ModelUnavailable(f'There is no model "{name}". Choose one of: {", ".join(names)}.')
    return load_predictor(name or names[0], settings, load)


@contextmanager
def _fetching(what: str) -> Iterator[Progress]:
    """A bar on a terminal, from the first bytes on: what is cached shows none."""
    bar: tqdm[Any] | None = None

    def show(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            text = f"Fetching {what}"
            bar = tqdm(desc=text, total=total, unit="B", unit_scale=True, disable=None)
        bar.update(done - bar.n)

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()


def _pictures(paths: Iterable[Path], out: Path | None) -> Iterator[Path]:
    """Those that are named, and all inside of folders but what an earlier run wrote to `out`."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for inside in sorted(path.rglob("*")):
            ours = ANNOTATED.fullmatch(inside.name) and out and inside.parent.samefile(out)
            if inside.suffix.lower() in PICTURE_SUFFIXES and inside.is_file() and not ours:
                yield inside


def _analyse_file(
    path: Path,
    number: int,
    detector: FaceDetector,
    classifier: Predictor,
    threshold: float,
    max_faces: int,
) -> tuple[dict[str, Any], Analysis | None]:
    shown = _printable(path)
    start = time.perf_counter()
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)  # one byte more than is accepted says enough
        photo = read_photo(data, path.name)
    except OSError as error:
        reason = (error.strerror or "it cannot be opened").lower()
        return {"image": shown, "error": f"{display_name(path.name)} was not read: {reason}."}, None
    except FerDemoError as error:
        return {"image": shown, "error": str(error)}, None
    decoded = time.perf_counter() - start
    analysis = analyse(
        photo,
        detector,
        classifier,
        threshold=threshold,
        max_faces=max_faces,
        decode_seconds=decoded,
    )
    return to_record(analysis, shown, number), analysis


def _printable(path: Path) -> str:
    """A name may be made to move a terminal's cursor, or be no text at all."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(path))


def as_text(record: dict[str, Any]) -> str:
    """A picture's record, or why there is none, as lines for a person."""
    if "error" in record:
        return str(record["error"])
    if not record["faces"]:
        return f"{record['image']}: no face found. Try a lower --threshold."
    lines = [f"{record['image']}: {len(record['faces'])} found by {record['detector']}"]
    for face in record["faces"]:
        nearest = sorted(face["probabilities"].items(), key=lambda pair: pair[1], reverse=True)
        first, second = (f"{label} {percent(share)}" for label, share in nearest[:2])
        label = f"uncertain: {first} or {second}" if face["uncertain"] else first
        notes = f" ({', '.join(face['warnings'])})" if face["warnings"] else ""
        lines.append(f"  {face['id']:>2}  {label}{notes}")
    if "left_out" in record:
        lines.append(f"  {record['left_out']} more were left out.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
