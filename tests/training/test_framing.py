"""Fitting the framing needs the detector's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from training import framing


def test_a_missing_detector_file_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "yunet.onnx"
    assert framing.main(["--data", str(tmp_path), "--detector", str(missing)]) == 1
    assert f"{missing}: there is no such detector file." in capsys.readouterr().err
