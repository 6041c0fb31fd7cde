"""What the server writes down: one JSON object a line, and nothing of what people bring.

Kind of work, format, sizes, seconds, the class of an error: never a name, a sentence that may hold
one, or a pixel. The app calls `to_stderr`; the command line does not and stays quiet.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LOG = logging.getLogger("fer_demo")


class _AsJson(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", None)
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            **(fields if fields is not None else {"event": record.getMessage()}),
        }
        return json.dumps(line)


def to_stderr() -> None:
    """Write from now on; calling it again changes nothing."""
    if LOG.handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(_AsJson())
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False


@contextmanager
def timed(event: str, **fields: Any) -> Iterator[dict[str, Any]]:
    """Write how long the block took and the class of the error that ended it, if one did.

    Args:
        event: what is done.
        fields: what is known before; the block may add to what it is given.
    """
    start, error = time.perf_counter(), None
    try:
        yield fields
    except Exception as raised:
        error = type(raised).__name__
        raise
    finally:
        seconds = round(time.perf_counter() - start, 4)
        LOG.info(event, extra={"fields": {"event": event, **fields, "seconds": seconds,
                                          "error": error}})  # fmt: skip
