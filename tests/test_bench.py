"""How the benchmark tells what was measured."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.visitor import slower_and_late
from fer_demo.bench import app, report


def test_two_streams_are_told_by_the_slower_one_and_the_delays_of_both() -> None:
    fast = [(15.0, 100.0)] * 19 + [(3.0, 500.0)]
    slow = [(11.0, 100.0)] * 20
    assert slower_and_late([fast, slow]) == (11.0, 100.0)
    assert slower_and_late([fast, [(11.0, 300.0)] * 20]) == (11.0, 300.0)


def printed(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_a_visit_that_fails_has_no_figures() -> None:
    assert app._numbers(printed("print('ready\\n12.5 80.0')"), 2) == [12.5, 80.0]
    assert app._numbers(printed("print('12.5 80.0'); exit(1)"), 2) == [None, None]


def test_the_report_has_two_streams_beside_their_bars() -> None:
    bars = {name: bar for name, _, bar, _, _ in report.BARS}
    assert (bars["two_streams_fps"], bars["two_streams_p95_ms"]) == (12, 250)
