"""The commands of the documentation, as a person would type them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from training import (
    average,
    calibrate,
    compare,
    distill,
    ensemble,
    evaluate,
    explain,
    export,
    framing,
    outside,
    sweep,
    train,
)

MODULES = (
    average, calibrate, compare, distill, ensemble, evaluate, explain, export, framing, outside,
    sweep, train,
)  # fmt: skip
MAINS: dict[str, Callable[[list[str]], int]] = {
    module.__name__.removeprefix("training."): module.main for module in MODULES
}

BOTH = "--weights fer_demo/weights/resnet18 --weights fer_demo/weights/efficientnet_b0"

PLACEHOLDERS = re.compile(r"\.\.\.|\b(RECIPE|SETTING|BASELINE)\b|\[")
"""Words that a person puts something in for, and options that may be left out."""


def documented() -> list[str]:
    """Every whole command of the pages about training, of the README and of the commands' help."""
    texts = [
        *(path.read_text() for path in sorted((ROOT / "training").glob("*.md"))),
        (ROOT / "README.md").read_text(),
        *(module.__doc__ or "" for module in MODULES),
    ]
    joined = "\n".join(texts).replace("\\\n", " ")
    names = "|".join(MAINS)
    pattern = (
        rf"^ +python -m training\.((?:{names}) .*)$|`python -m training\.((?:{names})\s[^`]*)`"
    )
    found = [" ".join("".join(one).split()) for one in re.findall(pattern, joined, re.MULTILINE)]
    return sorted({one.replace("BOTH", BOTH) for one in found if not PLACEHOLDERS.search(one)})


@pytest.mark.parametrize("command", documented())
def test_a_documented_command_is_understood_and_goes_as_far_as_its_files(
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
    missing = [word for word in arguments if word in said and not (tmp_path / word).exists()]
    assert missing, said


def test_the_documentation_has_such_commands() -> None:
    named = {command.split()[0] for command in documented()}
    assert named >= set(MAINS) - {"compare"}  # that one stands there in short
    assert len(documented()) > 40
