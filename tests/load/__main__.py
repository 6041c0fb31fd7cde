"""The bars of load: `python -m tests.load --short` (30 minutes at most) or `--full` (2 hours).

Each part has a server of its own, and prints its bars, figures, pass or fail, when it ends: a load
that is cut off loses one part. The exit status is 1 if one failed. `--smoke` takes minutes and
shows only that all parts run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import SHARED, YUNET
from tests.load import live, photo
from tests.load.bars import Bar
from tests.server import serve

CORES = 2
"""That the server gets, as on the free hardware; its visitors have all."""


@dataclass(frozen=True)
class Part:
    """A load, and what it is given at each size."""

    run: Callable[..., Coroutine[Any, Any, list[Bar]]]
    smoke: tuple[float, ...]
    short: tuple[float, ...]
    full: tuple[float, ...]


PARTS = {
    "visitors": Part(photo.steady_visitors, smoke=(4, 0.2), short=(20, 4), full=(20, 15)),
    "tabs": Part(photo.closed_tabs, smoke=(6, 2, 0), short=(480,), full=(1000,)),
    "ownership": Part(photo.ownership, smoke=(3, 2), short=(10, 5), full=(10, 50)),
    "crowd": Part(photo.crowd_of_200, smoke=(), short=(), full=()),
    "busy": Part(photo.busy, smoke=(30,), short=(30,), full=(40,)),
    "places": Part(live.one_too_many, smoke=(), short=(), full=()),
    "restarts": Part(live.restarts, smoke=(2, 0), short=(20,), full=(200,)),
    "long": Part(live.long_stream, smoke=(0.3, 5), short=(4,), full=(60,)),
    "shutdown": Part(live.shutdown, smoke=(), short=(), full=()),
    "two": Part(live.two, smoke=(12,), short=(30,), full=(30,)),
}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    size = parser.add_mutually_exclusive_group(required=True)
    for name in ("smoke", "short", "full"):
        size.add_argument(f"--{name}", dest="size", action="store_const", const=name)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    given = parser.parse_args()
    if not (SHARED / YUNET).is_file():
        parser.error(f"{SHARED / YUNET} is absent; FER_TEST_SHARED names the folder it is in.")
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    print(f"{cores} cores, load before: {load:.1f}", flush=True)
    passed = True
    for name in given.only:
        start = time.monotonic()
        bars = measure(name, getattr(PARTS[name], given.size))
        minutes = (time.monotonic() - start) / 60
        for bar in bars:
            print(f"{bar.name:<40}  {'pass' if bar.passed else 'FAIL'}  {bar.figure}")
        print(f"{name} took {minutes:.1f} minutes", flush=True)
        passed = passed and all(bar.passed for bar in bars)
    return int(not passed)


def measure(name: str, sizes: tuple[float, ...]) -> list[Bar]:
    """One part on a server of its own; what breaks it is a bar that is not reached."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        with serve(Path(folder), SHARED / YUNET, FER_THREADS=str(CORES)) as (
            url,
            process,
        ):
            psutil.Process(process.pid).cpu_affinity(sorted(os.sched_getaffinity(0))[:CORES])
            try:
                bars = asyncio.run(PARTS[name].run(url, psutil.Process(process.pid), *sizes))
            except Exception as error:
                traceback.print_exc()
                bars = [Bar(name, f"did not finish: {error!r:.100}", False)]
        errors = log.read_text().count("Traceback")
    return [*bars, Bar(f"{name} tracebacks in the log: 0", str(errors), errors == 0)]


if __name__ == "__main__":
    sys.exit(main())
