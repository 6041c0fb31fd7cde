"""The commands of the documentation, as a person would type them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from training import sweep, train

MAINS: dict[str, Callable[[list[str]], int]] = {"train": train.main, "sweep": sweep.main}

PLACEHOLDERS = re.compile(r"\.\.\.|\b(RECIPE|SETTING|BASELINE)\b")
"""Words that a person puts something in for."""


def documented() -> list[str]:
    """Every whole command that trains, of the pages about training and of the commands' help."""
    texts = [
        *(path.read_text() for path in sorted((ROOT / "training").glob("*.md"))),
        *(module.__doc__ or "" for module in (train, sweep)),
    ]
    joined = "\n".join(texts).replace("\\\n", " ")
    commands = re.findall(r"^ +python -m training\.((?:train|sweep) .*)$", joined, re.MULTILINE)
    return [" ".join(one.split()) for one in commands if not PLACEHOLDERS.search(one)]


@pytest.mark.parametrize("command", documented())
def test_a_documented_command_goes_as_far_as_its_data(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for folder in ("recipes", "results"):
        (tmp_path / "training").mkdir(exist_ok=True)
        (tmp_path / "training" / folder).symlink_to(ROOT / "training" / folder)
    monkeypatch.chdir(tmp_path)
    name, *arguments = shlex.split(command)
    assert MAINS[name](arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("DIR"), said


def test_the_documentation_has_such_commands() -> None:
    assert len(documented()) > 10
