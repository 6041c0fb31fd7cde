from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from tests.training.conftest import checkpoint, run_training, tiny_faces
from training import distill, export
from training.data import read_split
from training.distill import read_targets
from training.folder import read_config, weights_sha256
from training.formats import DataError
from training.objective import distillation_loss

TAUGHT = ("--teacher-weight", "0.5")


@pytest.fixture(scope="module")
def targets_file(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path, tiny_data: Path) -> Path:
    """What one tiny teacher says of the tiny training split."""
    folder = tmp_path_factory.mktemp("teacher")
    assert export.main(["--run", str(tiny_run), "--to", str(folder / "tiny")]) == 0
    out = folder / "targets.npz"
    options = ["--weights", str(folder / "tiny"), "--data", str(tiny_data), "--out", str(out)]
    assert distill.main(options) == 0
    return out


@pytest.fixture
def train(tiny_data: Path, recipe_file: Path) -> Callable[..., int]:
    """Train the tiny recipe into a folder, with further options; the exit status."""
    return partial(run_training, recipe_file, tiny_data)


def test_a_teacher_that_agrees_leaves_no_gradient() -> None:
    teacher = torch.randn(4, 15, generator=torch.manual_seed(0))
    student = teacher.clone().requires_grad_()
    distillation_loss(student, teacher, 2.0).backward()
    assert student.grad is not None
    assert student.grad.abs().max() < 1e-6


def test_each_head_is_taught_by_itself() -> None:
    teacher = torch.randn(4, 15, generator=torch.manual_seed(0))
    raised = teacher.clone()
    raised[:, 7:] += 3  # the same probabilities of the second head
    assert distillation_loss(teacher, raised, 2.0) == pytest.approx(
        float(distillation_loss(teacher, teacher, 2.0)), rel=1e-5
    )


def test_two_equal_teachers_say_what_one_says(targets_file: Path, tiny_data: Path) -> None:
    faces = read_split(tiny_data, "train")
    one = read_targets(targets_file, faces)
    two = distill.teach([targets_file.parent / "tiny"] * 2, faces)
    assert one.logits.shape == two.logits.shape == (64, 15)
    assert one.teachers[0].startswith("tiny ")
    for head in (slice(0, 7), slice(7, 15)):
        np.testing.assert_allclose(
            softmax(one.logits[:, head], axis=1), softmax(two.logits[:, head], axis=1), atol=5e-3
        )


def test_what_lies_beside_the_teachers_does_not_change_what_they_teach(
    targets_file: Path, tiny_data: Path, tmp_path: Path
) -> None:
    teachers = [tmp_path / "one", tmp_path / "other"]
    for folder in teachers:
        shutil.copytree(targets_file.parent / "tiny", folder)
    faces = read_split(tiny_data, "train")
    before = distill.teach(teachers, faces)
    # Of the very two, with a temperature that evaluate would use.
    members = {folder.name: weights_sha256(folder) for folder in teachers}
    joint = {"members": members, "temperature": {"fer2013": 3.0, "ferplus7": 3.0}}
    (tmp_path / "ensemble.json").write_text(json.dumps({**joint, "uncertain_below": 0.5}))
    np.testing.assert_array_equal(distill.teach(teachers, faces).logits, before.logits)


def test_targets_of_other_pictures_are_refused(targets_file: Path) -> None:
    with pytest.raises(DataError, match="other pictures"):
        read_targets(targets_file, tiny_faces(64, seed=9))


def test_a_file_without_targets_is_refused(
    tmp_path: Path, tiny_data: Path, targets_file: Path
) -> None:
    whole = targets_file.read_bytes()
    for content in (b"no", b"", whole[: len(whole) // 2]):
        (tmp_path / "t.npz").write_bytes(content)
        with pytest.raises(DataError, match="holds no teachers' targets"):
            read_targets(tmp_path / "t.npz", read_split(tiny_data, "train"))
    np.save(tmp_path / "t.npy", np.zeros(3))
    with pytest.raises(DataError, match="holds no teachers' targets"):
        read_targets(tmp_path / "t.npy", read_split(tiny_data, "train"))


def test_a_student_learns_something_else_than_without_a_teacher(
    train: Callable[..., int], tiny_run: Path, targets_file: Path, tmp_path: Path
) -> None:
    assert train(tmp_path / "student", *TAUGHT, "--targets", str(targets_file)) == 0
    one, other = checkpoint(tiny_run)["model"], checkpoint(tmp_path / "student")["model"]
    assert any(not torch.equal(one[name], other[name]) for name in one)
    weights = tmp_path / "weights"
    assert export.main(["--run", str(tmp_path / "student"), "--to", str(weights)]) == 0
    (teacher,) = read_config(weights)["fer_demo"]["recipe"]["teachers"]
    assert teacher == f"tiny {weights_sha256(targets_file.parent / 'tiny')[:12]}"


def test_a_recipe_that_needs_a_teacher_says_how_to_make_one(
    train: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert train(tmp_path / "run", *TAUGHT) == 1
    assert "make their targets with python -m training.distill" in capsys.readouterr().err


def test_targets_that_no_setting_uses_are_refused(
    train: Callable[..., int],
    targets_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert train(tmp_path / "run", "--targets", str(targets_file)) == 1
    assert "--targets needs a teacher_weight above 0." in capsys.readouterr().err


def test_a_run_goes_on_with_its_own_teachers_only(
    train: Callable[..., int],
    tiny_data: Path,
    targets_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    taught = (*TAUGHT, "--decay-epochs", "0", "--targets")
    assert train(tmp_path / "run", *taught, str(targets_file), "--epochs", "1") == 0
    own = read_targets(targets_file, read_split(tiny_data, "train"))
    others = tmp_path / "others.npz"
    distill.write_targets(replace(own, teachers=("another 0123456789ab",)), others)
    assert train(tmp_path / "run", *taught, str(others), "--resume") == 1
    assert "These targets are of other teachers than the run's." in capsys.readouterr().err
    assert train(tmp_path / "run", *taught, str(targets_file), "--resume") == 0


def test_wrong_teacher_settings_are_refused(
    train: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path / "run", "--teacher-weight", "1.5") == 1
    assert "teacher_weight is in [0, 1]" in capsys.readouterr().err
