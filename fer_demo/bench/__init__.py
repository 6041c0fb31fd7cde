"""`python -m fer_demo bench`: the speed of the app, each figure a rate or a ratio."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--model", help="name of the weights; the fastest there is by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")


def run(given: argparse.Namespace) -> int:
    """Measure, print, write; the exit status is 0 whatever the figures are."""
    # Here, because `analyse` needs none of what measuring does.
    from fer_demo.bench.report import run as measure_all

    return measure_all(given)
