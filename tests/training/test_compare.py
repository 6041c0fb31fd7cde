from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.factories import write_weights_folder
from training import compare


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    parent = tmp_path_factory.mktemp("weights")
    return [write_weights_folder(parent / name, "test_resnet", seed=s) for name, s in NAMES]


NAMES = (("old", 0), ("same", 0), ("other", 1))


@pytest.mark.parametrize("options", [(), ("--tta",)])
def test_each_protocol_has_paired_differences_from_the_first(
    folders: list[Path],
    tiny_data: Path,
    options: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [argument for folder in folders for argument in ("--weights", str(folder))]
    assert compare.main([*given, "--data", str(tiny_data), *options]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    # Seven of the 35 images are in a training file.
    assert [line.split()[:2] for line in lines[::3]] == [
        ["fer2013", "28"], ["ferplus8", "28"], ["ferplus7", "28"],
    ]  # fmt: skip
    for first, same, other in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        assert "points" not in first
        zero = "+0.00 (+0.00 to +0.00) points, +0.0000 (+0.0000 to +0.0000) nats"
        assert zero in same
        (nats,) = re.findall(r"([+-]\d\.\d+) \([^)]*\) nats", other)
        assert float(nats) == pytest.approx(nll(other) - nll(first), abs=2e-4)
        assert float(nats) != 0


def nll(line: str) -> float:
    return float(line.split()[3])


def test_weights_that_are_none_are_a_sentence(
    tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--weights", str(tmp_path / "none"), "--data", str(tiny_data)]
    assert compare.main(given) == 1
    assert "is not a weights folder" in capsys.readouterr().err
