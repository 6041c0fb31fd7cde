from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_demo import faces as detection
from fer_demo.faces import YuNet
from tests.training.conftest import tiny_faces, write_parquet
from training import evaluate, export
from training.corruptions import CORRUPTIONS, corrupt
from training.data import read_split
from training.formats import LabelledFaces
from training.pose import accuracy_by_pose, yaw_and_size


@pytest.fixture(scope="module")
def weights(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    for name in ("one", "two"):
        export.export(tiny_run, folder / name)
    return folder


def run(weights: Path, data: Path, out: Path, *options: str) -> dict:
    """`python -m training.evaluate` in this process: the document that it wrote to `out`."""
    given = ["--weights", str(weights), "--data", str(data), "--json", str(out)]
    assert evaluate.main([*given, *options]) == 0
    return json.loads(out.read_text())


def test_a_rerun_gives_the_same_document(
    weights: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(weights / "one", tiny_data, tmp_path / "a.json", "--seen-in", str(tiny_data))
    told = capsys.readouterr().out
    run(weights / "one", tiny_data, tmp_path / "b.json", "--seen-in", str(tiny_data))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert capsys.readouterr().out == told
    assert "one ferplus7 unseen" in told


def test_the_document(
    weights: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tiny_data / "public_test.parquet"
    options = ["--weights", str(weights / "two"), "--tta", "--corruptions"]
    options += ["--seen-in", str(tiny_data), "--errors", str(tmp_path / "errors")]
    document = run(weights / "one", data, tmp_path / "o.json", *options)
    assert (document["data"], document["n"], document["tta"]) == ("public_test.parquet", 35, True)
    assert document["split"] == "public_test"
    assert list(document["results"]) == ["one", "two", "ensemble"]
    for heads in document["results"].values():
        assert list(heads) == ["fer2013", "ferplus8", "ferplus7"]
        for head, report in heads.items():
            whole, unseen = report, report["unseen"]
            assert (whole["n"], unseen["n"]) == (35, 28)
            wanted = {
                "accuracy", "standard_error", "macro_f1", "per_class", "confusion", "nll", "ece",
                "ece_calibrated", "ece_interval", "risk_coverage", "entropy_correlation",
            }  # fmt: skip
            assert wanted <= set(whole)
            assert wanted <= set(unseen)
            k = 8 if head == "ferplus8" else 7
            assert np.array(whole["confusion"]).shape == (k, k)
            assert np.array(whole["confusion"]).sum() == 35
            for part in (whole, unseen):
                levels = {name: len(shares) for name, shares in part["corruptions"].items()}
                assert levels == dict.fromkeys(CORRUPTIONS, 3)
                relative = np.mean(list(part["corruptions"].values())) / part["accuracy"]
                assert part["corruptions_relative"] == pytest.approx(relative, abs=1e-5)
    one, both = document["results"]["one"], document["results"]["ensemble"]
    assert both["fer2013"]["accuracy"] == one["fer2013"]["accuracy"]  # the same network twice
    assert "ece_raw" in one["ferplus7"]
    # These two were never measured together, so their temperature together is 1.
    assert both["ferplus7"]["ece_raw"] == both["ferplus7"]["ece"]
    assert list(document["weights"]) == ["one", "two"]
    assert one["ferplus7"]["without_ties"]["n"] == 35
    told = capsys.readouterr().out
    for title, part in (("", one["ferplus7"]), (" unseen", one["ferplus7"]["unseen"])):
        share = f"{100 * part['corruptions_relative']:.1f} % of that on clean images"
        assert any(
            line.startswith(f"one ferplus7{title}:") and share in line for line in told.splitlines()
        )
    sheets = list((tmp_path / "errors/one").glob("*_as_*.png"))
    wrong = np.array(one["ferplus7"]["confusion"])
    assert len(sheets) == (wrong - np.diag(np.diag(wrong)) > 0).sum()
    assert all(cv2.imread(str(path)).shape[1] == 864 for path in sheets)


def test_a_set_without_votes(weights: Path, tmp_path: Path) -> None:
    faces = tiny_faces(35)
    write_parquet(tmp_path / "set.parquet", LabelledFaces(faces.grey, faces.label, None))
    document = run(weights / "one", tmp_path / "set.parquet", tmp_path / "o.json")
    assert document["split"] == "set.parquet"  # not a split of FER2013
    heads = document["results"]["one"]
    assert list(heads) == ["fer2013", "given7"]
    assert "entropy_correlation" not in heads["given7"]


def test_where_every_picture_was_trained_on_nothing_is_called_unseen(
    weights: Path, tiny_data: Path, tmp_path: Path
) -> None:
    options = ("--split", "train", "--seen-in", str(tiny_data))
    heads = run(weights / "one", tiny_data, tmp_path / "o.json", *options)["results"]["one"]
    assert [(head["n"], "unseen" in head) for head in heads.values()] == [(64, False)] * 3


def test_a_protocol_that_labels_no_picture_is_left_out(weights: Path, tmp_path: Path) -> None:
    faces = tiny_faces(35)
    faces.votes[:] = [5, 5, 0, 0, 0, 0, 0, 0, 0, 0]  # neutral as often as happy
    write_parquet(tmp_path / "tied.parquet", faces)
    document = run(weights / "one", tmp_path / "tied.parquet", tmp_path / "o.json")
    heads = document["results"]["one"]
    assert list(heads) == ["fer2013", "ferplus7"]
    assert "without_ties" not in heads["ferplus7"]


def test_pose_needs_the_better_detector(
    weights: Path, tiny_data: Path, without_yunet: None, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--weights", str(weights / "one"), "--data", str(tiny_data), "--by-pose"]
    assert evaluate.main(arguments) == 1
    assert "Pose needs the landmarks of the better face detector" in capsys.readouterr().err


def test_a_wrong_setting_is_a_sentence(
    weights: Path,
    tiny_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FER_THREADS", "x")
    arguments = ["--weights", str(weights / "one"), "--data", str(tiny_data), "--by-pose"]
    assert evaluate.main(arguments) == 1
    assert "FER_THREADS" in capsys.readouterr().err


def test_accuracy_by_pose_is_told_of_all_pictures_and_of_the_unseen(
    weights: Path,
    fer2013: Path,
    yunet_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(detection, "detector_file", lambda *_: yunet_file)
    faces = read_split(fer2013, "public_test")[:60]
    (tmp_path / "seen").mkdir()
    write_parquet(tmp_path / "public_test.parquet", faces)
    write_parquet(tmp_path / "seen/train.parquet", faces[:20])
    data = tmp_path / "public_test.parquet"
    options = ("--by-pose", "--seen-in", str(tmp_path / "seen"))
    document = run(weights / "one", data, tmp_path / "o.json", *options)
    shown = document["results"]["one"]["ferplus7"]
    for part in (shown, shown["unseen"]):
        yaw = [entry["n"] for entry in part["pose"]["yaw"].values()]
        assert sum(yaw) + part["pose"]["no face found"]["n"] == part["n"]
        assert sum(yaw) > 0.8 * part["n"]
    told = capsys.readouterr().out
    n = shown["pose"]["yaw"]["below 0.1"]["n"]
    assert f"of {n}\n" in told[told.index("one ferplus7, yaw below 0.1: ") :]
    assert "one ferplus7 unseen, size 21 and more: " in told


def test_a_broken_file_of_the_ensemble_is_a_sentence(
    weights: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(weights, tmp_path / "w")
    (tmp_path / "w/ensemble.json").write_text("{")
    both = [word for name in ("one", "two") for word in ("--weights", str(tmp_path / "w" / name))]
    assert evaluate.main([*both, "--data", str(tiny_data)]) == 1
    assert "ensemble.json was not written by training.ensemble" in capsys.readouterr().err


def test_names_of_another_set_are_mapped_in_what_was_trained_on_too(
    weights: Path, tmp_path: Path
) -> None:
    faces = tiny_faces(6)
    for split, name, picture in (
        ("train", "joy", 0), ("train", "other", 1),
        ("test", "joy", 0), ("test", "joy", 2), ("test", "calm", 3), ("test", "other", 4),
    ):  # fmt: skip
        folder = tmp_path / split / name
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{picture}.png"), faces.grey[picture])
    labels = ("--labels", "joy=happy", "calm=neutral", "--labels", "other=skip")
    seen = ("--seen-in", str(tmp_path))
    document = run(weights / "one", tmp_path / "test", tmp_path / "o.json", *labels, *seen)
    heads = document["results"]["one"]
    assert (heads["given7"]["n"], heads["given7"]["unseen"]["n"]) == (3, 2)


def test_figures_are_printed_though_they_cannot_be_kept(
    weights: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--weights", str(weights / "one"), "--data", str(tiny_data), "--json", str(tmp_path)]
    assert evaluate.main(given) == 1
    told = capsys.readouterr()
    assert "one ferplus7" in told.out
    assert "one ferplus7, without ties of votes: " in told.out
    assert str(tmp_path) in told.err


def test_refusals(
    weights: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = ["--weights", str(weights / "one")]
    for arguments, sentence in (
        ([*one, "--data", str(tmp_path / "nothing")], "is not a folder"),
        (["--weights", str(tmp_path), "--data", str(tiny_data)], "is not a weights folder"),
        ([*one, *one, "--data", str(tiny_data)], "have one name"),
        ([*one, "--data", str(tiny_data), "--labels", "joy"], "takes NAME=EXPRESSION, not joy"),
        (
            [*one, "--data", str(tiny_data), "--labels", *(f"{k}=skip" for k in range(7))],
            "--labels skips them all",
        ),
    ):
        assert evaluate.main(arguments) == 1
        assert sentence in capsys.readouterr().err


def test_beside_the_weights_each_network_has_its_part_and_all_have_the_whole(
    weights: Path, tiny_data: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(weights, tmp_path / "weights")
    options = ("--weights", str(copy / "two"), "--beside")
    whole = run(copy / "one", tiny_data, tmp_path / "o.json", *options)
    assert json.loads((copy / "evaluation.json").read_text()) == whole
    for name in ("one", "two"):
        part = json.loads((copy / name / "evaluation.json").read_text())
        assert part["results"] == {name: whole["results"][name]}
        assert part["weights"] == {name: whole["weights"][name]}
        assert part["n"] == whole["n"]


def test_corruptions_of_some_images_are_held_against_the_same_ones_when_clean(
    weights: Path, tiny_data: Path, tmp_path: Path
) -> None:
    data = tiny_data / "public_test.parquet"
    document = run(weights / "one", data, tmp_path / "o.json", "--corruptions", "5")
    report = document["results"]["one"]["fer2013"]
    assert report["corruptions_n"] == 7
    right = report["corruptions_clean"] * 7
    assert right == pytest.approx(round(right), abs=1e-3)
    relative = np.mean(list(report["corruptions"].values())) / report["corruptions_clean"]
    assert report["corruptions_relative"] == pytest.approx(relative, abs=1e-4)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_grow_and_repeat(name: str) -> None:
    field = np.random.default_rng(0).normal(size=(4, 48, 48))
    field = np.stack([cv2.GaussianBlur(image, (0, 0), 1.5) for image in field])
    grey = (128 + 180 * field).clip(0, 255).astype(np.uint8)
    harm = []
    for level in (1, 2, 3):
        spoiled = corrupt(grey, name, level)
        assert spoiled.shape == grey.shape
        assert spoiled.dtype == np.uint8
        np.testing.assert_array_equal(spoiled, corrupt(grey, name, level))
        harm.append(np.abs(spoiled.astype(int) - grey).mean())
    assert 0 < harm[0] < harm[1] < harm[2]


def test_accuracy_by_pose_counts_every_image() -> None:
    yaw = np.array([0.0, 0.05, 0.1, 0.3, 0.9, np.nan])
    size = np.array([10.0, 16, 19, 30, 18, np.nan])
    found = accuracy_by_pose(yaw, size, np.array([True, False, True, True, False, True]))
    assert found["yaw"]["below 0.1"] == {"n": 2, "accuracy": 0.5}
    assert found["yaw"]["0.1 to 0.2"] == {"n": 1, "accuracy": 1.0}
    assert found["no face found"] == {"n": 1, "accuracy": 1.0}
    for bins in (found["yaw"], found["size"]):
        assert sum(entry["n"] for entry in bins.values()) == 5


def test_yaw_of_fer2013(fer2013: Path, yunet_file: Path) -> None:
    grey = read_split(fer2013, "public_test").grey[:60]
    yaw, size = yaw_and_size(grey, YuNet(yunet_file))
    assert np.isfinite(yaw).mean() > 0.9
    assert 0.02 < np.nanmedian(yaw) < 0.12
    assert 16 < np.nanmedian(size) < 20
