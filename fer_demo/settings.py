"""What the person who runs the app may set, read from the environment once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from fer_demo.errors import BadSetting

DEFAULT_HUB_REPOS: tuple[str, ...] = ()
"""Hub repositories that serve the weights where FER_HUB_REPOS is not set; the bundled ones do
while this is empty. `python -m training.publish` prints the line to put here."""

_BUNDLED = "bundled"
"""In place of repositories: the weights that lie in this one."""

MOST = 1_000_000
"""The largest number that a setting takes: what is beyond makes some library fail."""

MOST_LIVE_SECONDS = 80_000
"""TURN providers give credentials for a day, and a stream may begin with some that are kept for a
while already (`fer_demo.live.turn`)."""

MAX_FACES = 50

_REPO = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", re.ASCII)
_HOST = re.compile(r"[\w.-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one process."""

    hub_repos: tuple[str, ...] = DEFAULT_HUB_REPOS
    """FER_HUB_REPOS: "owner/name" or "owner/name@revision", one a model, separated by commas;
    "bundled" for the bundled weights."""
    hub_deadline: float = 120.0
    """FER_HUB_DEADLINE: seconds that a download may take, all in all."""
    max_faces: int = MAX_FACES
    """FER_MAX_FACES: faces analysed in one picture."""
    open_megapixels: int = 500
    """FER_OPEN_MEGAPIXELS: of the pictures that all visitors have open, and of the faces cut out of
    them; each costs 3 MB."""
    threads: int = 2
    """FER_THREADS: processor cores to use, for a network's threads and for pictures at a time; all
    there are by default."""
    live_places: int = 2
    """FER_LIVE_PLACES: live streams at a time, of all visitors together."""
    live_seconds: float = 600.0
    """FER_LIVE_SECONDS: how long a live stream may run before it ends by itself."""
    space_host: str = ""
    """SPACE_HOST: where the app has a page of its own, as a Hugging Face Space sets it; empty
    elsewhere."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the variables.

        Raises:
            BadSetting: naming the variable and what it takes.
        """
        plain = cls(threads=_cores())
        return cls(
            hub_repos=_repos(environment, "FER_HUB_REPOS", plain.hub_repos),
            hub_deadline=_number(environment, "FER_HUB_DEADLINE", plain.hub_deadline),
            max_faces=_count(environment, "FER_MAX_FACES", plain.max_faces),
            open_megapixels=_count(environment, "FER_OPEN_MEGAPIXELS", plain.open_megapixels),
            threads=_count(environment, "FER_THREADS", plain.threads),
            live_places=_count(environment, "FER_LIVE_PLACES", plain.live_places),
            live_seconds=_number(
                environment, "FER_LIVE_SECONDS", plain.live_seconds, MOST_LIVE_SECONDS
            ),
            space_host=_host(environment.get("SPACE_HOST", "")),
        )


def _cores() -> int:
    """Those that this process may use, where the system says."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _repos(environment: Mapping[str, str], name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    repos = tuple(repo.strip() for repo in environment.get(name, "").split(",") if repo.strip())
    if not repos:  # a Dockerfile's variable is there and empty
        return default
    if repos == (_BUNDLED,):
        return ()
    for repo in repos:
        if not _REPO.fullmatch(repo):
            raise BadSetting(
                f"{name} must list Hub repositories as owner/name or owner/name@revision, "
                f'not "{repo}".'
            )
    return tuple(dict.fromkeys(repos))


def _host(text: str) -> str:
    """The first of the hosts, made for a link; what a platform sets must not stop the app."""
    host = text.split(",")[0].strip(" /")
    return host if _HOST.fullmatch(host) else ""


def _count(environment: Mapping[str, str], name: str, default: int) -> int:
    value = _number(environment, name, default)
    if value != int(value):
        raise BadSetting(f"{name} must be a whole number, not {value}.")
    return int(value)


def _number(environment: Mapping[str, str], name: str, default: float, most: int = MOST) -> float:
    text = environment.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= most:
        raise BadSetting(f'{name} must be a number above 0 and up to {most:,}, not "{text}".')
    return value
