"""One line of the table of load, and what is read of the server's process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import psutil
from websockets import WebSocketException

FAILURES = (TimeoutError, OSError, AssertionError, WebSocketException)
"""What a visit may end in; anything else is a fault of the scripts."""


@dataclass(frozen=True)
class Bar:
    """What was to be reached, what was, and whether that is enough."""

    name: str
    figure: str
    passed: bool


def memory(process: psutil.Process) -> float:
    """Resident, MB."""
    return process.memory_info().rss / 1e6


async def watch(process: psutil.Process, samples: list[float], every: float = 2.0) -> None:
    """Append the resident memory, MB, until it is cancelled."""
    while True:
        samples.append(memory(process))
        await asyncio.sleep(every)
