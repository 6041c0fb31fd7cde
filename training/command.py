"""What the commands of this folder share: options that several take, and how they end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path

from fer_demo.errors import FerDemoError


def told(main: Callable[[list[str] | None], None]) -> Callable[..., int]:
    """The command as a program: failures are sentences on stderr; returns the exit status."""

    @wraps(main)
    def command(arguments: list[str] | None = None) -> int:
        try:
            main(arguments)
        except (FerDemoError, OSError) as error:
            print(error, file=sys.stderr)
            return 1
        return 0

    return command


def parser_of(name: str, doc: str | None) -> argparse.ArgumentParser:
    """The parser of `python -m training.NAME`; `doc` is the module's."""
    return argparse.ArgumentParser(
        prog=f"python -m training.{name}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_weights(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """--weights; a list of them where the command takes several."""
    action, words = ("append", "; once for each") if several else ("store", "")
    parser.add_argument(
        "--weights", type=Path, action=action, required=True, help=f"weights folder{words}"
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """--data: FER2013 in any of the forms that `training.data` reads."""
    parser.add_argument(
        "--data", type=Path, required=True, help="FER2013: a folder of it, or a parquet or CSV file"
    )


def add_seen_in(parser: argparse.ArgumentParser) -> None:
    """--seen-in: where the images lie that a figure must not be of."""
    parser.add_argument("--seen-in", type=Path, help="training data; where --data lies by default")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """What a run is made of, beside its recipe's settings."""
    parser.add_argument("--recipe", type=Path, required=True, help="a file of training/recipes")
    add_data(parser)
    parser.add_argument("--targets", type=Path, help="what training.distill wrote")
    parser.add_argument("--weights", type=Path, help='the folder that init = "weights" begins with')
