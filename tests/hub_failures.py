"""What can go wrong with a Hub, for `HubServer.interfere`."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.hub_protocol import Handler
from tests.hub_server import Interference


def on(path: str, then: Callable[[Handler], None], *, method: str | None = None) -> Interference:
    """Answer requests whose path contains `path` with `then`."""

    def interfere(handler: Handler) -> bool:
        if path in handler.route and method in (None, handler.command):
            then(handler)
            return True
        return False

    return interfere


def status(code: int, **headers: str) -> Callable[[Handler], None]:
    """Nothing but a status."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.answer(code, headers=told)


def silence(handler: Handler) -> None:
    """No answer until the server stops."""
    handler.hub.stopping.wait(60)
    handler.close_connection = True


def drip(handler: Handler) -> None:
    """One byte a second, of a large file."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    for _ in range(60):
        handler.wfile.write(b".")
        handler.wfile.flush()
        if handler.hub.stopping.wait(1):
            return


def huge(handler: Handler) -> None:
    """A file of ten gigabytes, as the Hub tells of it."""
    told = {"ETag": '"0"', "X-Repo-Commit": "0" * 40, "X-Linked-Size": str(10**10)}
    handler.answer(200, headers=told)


def page(handler: Handler) -> None:
    """A network's sign-in page, with status 200."""
    body = b"<!doctype html><title>Welcome to our Wi-Fi</title>"
    handler.answer(200, body, {"Content-Type": "text/html"})


def short(data: bytes, by: int) -> Callable[[Handler], None]:
    """The connection breaks off before the last `by` bytes, whatever range is asked for."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:-by])
        handler.close_connection = True

    return answer


def body(data: bytes) -> Callable[[Handler], None]:
    """Other bytes than those that were asked for."""
    return lambda handler: handler.answer(200, data)


def delayed(seconds: float) -> Interference:
    """Every request takes its time, and is answered."""

    def interfere(handler: Handler) -> bool:
        time.sleep(seconds)
        return False

    return interfere
