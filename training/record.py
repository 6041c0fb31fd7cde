"""What a run or a measurement leaves behind: whole files, and which code made them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def write_json(path: Path, document: dict[str, Any], indent: int = 1) -> None:
    """Write a JSON document whole or not at all; its folder is made."""
    write_whole(path, (json.dumps(document, indent=indent) + "\n").encode())


def code_version() -> str:
    """The commit of this code, "-dirty" where it was changed since; nothing outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
