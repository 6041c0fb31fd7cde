"""What the person who runs the app may set, read from the environment once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one process."""

    hub_repos: tuple[str, ...] = ()
    """FER_HUB_REPOS: "owner/name" or "owner/name@revision", one a model, separated by commas."""
    hub_deadline: float = 120.0
    """FER_HUB_DEADLINE: seconds that a download may take, all in all."""
    max_faces: int = 50
    """FER_MAX_FACES: faces analysed in one picture."""
    threads: int = 2
    """FER_THREADS: processor threads for a network; the cores there are by default."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the variables; a value that is no number is an error in one sentence.

        Raises:
            ValueError: naming the variable.
        """
        repos = environment.get("FER_HUB_REPOS", "")
        return cls(
            hub_repos=tuple(repo.strip() for repo in repos.split(",") if repo.strip()),
            hub_deadline=_number(environment, "FER_HUB_DEADLINE", 120.0),
            max_faces=int(_number(environment, "FER_MAX_FACES", 50)),
            threads=int(_number(environment, "FER_THREADS", os.cpu_count() or 1)),
        )


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError(f'{name} must be a number above 0, not "{text}".')
    return value
