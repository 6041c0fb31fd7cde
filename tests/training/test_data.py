from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fer_demo.types import EXPRESSIONS
from tests.conftest import ROOT
from tests.training.conftest import tiny_faces, write_parquet
from training.data import read_split, split_name
from training.formats import DataError, LabelledFaces
from training.votes import FERPLUS_COLUMNS, ferplus7_label, ferplus8_label, is_tie


def write_csv(folder: Path, parts: dict[str, LabelledFaces], *, votes: bool = True) -> None:
    """Kaggle's two files, rows in the order of the splits."""
    with (folder / "fer2013.csv").open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["emotion", "pixels", "Usage"])
        for usage, faces in parts.items():
            for grey, label in zip(faces.grey, faces.label, strict=True):
                out.writerow([label, " ".join(map(str, grey.flatten())), usage])
    if not votes:
        return
    with (folder / "fer2013new.csv").open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["Usage", "Image name", *FERPLUS_COLUMNS])
        for usage, faces in parts.items():
            for i, row in enumerate(faces.votes):
                out.writerow([usage, f"fer{i:07d}.png", *row])


def write_pictures(
    folder: Path, names: list[str], per_name: int, side: int = 48, level: int = 7
) -> None:
    image = cv2.imencode(".png", np.full((side, side), level, np.uint8))[1].tobytes()
    for name in names:
        (folder / name).mkdir(parents=True)
        for i in range(per_name):
            (folder / name / f"{i:05d}.png").write_bytes(image)


def assert_equal(a: LabelledFaces, b: LabelledFaces) -> None:
    np.testing.assert_array_equal(a.grey, b.grey)
    np.testing.assert_array_equal(a.label, b.label)
    if a.votes is None or b.votes is None:
        assert a.votes is b.votes
    else:
        np.testing.assert_array_equal(a.votes, b.votes)


def test_parquet_and_csv_give_equal_arrays(tmp_path: Path) -> None:
    train, test = tiny_faces(20), tiny_faces(10, seed=1)
    write_parquet(tmp_path / "train-00000.parquet", train[:12])
    write_parquet(tmp_path / "train-00001.parquet", train[12:])
    write_parquet(tmp_path / "public_test.parquet", test)
    kaggle = tmp_path / "kaggle"
    kaggle.mkdir()
    write_csv(kaggle, {"Training": train, "PublicTest": test})
    for split, faces in (("train", train), ("public_test", test)):
        assert_equal(read_split(tmp_path, split), faces)
        assert_equal(read_split(kaggle, split), faces)
        assert_equal(read_split(kaggle / "fer2013.csv", split), faces)


def test_parquet_and_csv_give_equal_arrays_on_fer2013(fer2013: Path, tmp_path: Path) -> None:
    real = read_split(fer2013, "public_test")
    write_csv(tmp_path, {"PublicTest": real})
    again = read_split(tmp_path, "public_test")
    assert_equal(again, real)
    assert again.caution == ""


def test_fer2013_is_what_its_description_says(fer2013: Path) -> None:
    train, test = read_split(fer2013, "train"), read_split(fer2013, "public_test")
    assert np.bincount(train.label).tolist() == [3995, 436, 4097, 7215, 4830, 3171, 4965]
    assert np.bincount(test.label).tolist() == [467, 56, 496, 895, 653, 415, 607]
    assert train.caution == test.caution == ""
    assert [int((ferplus8_label(x.votes) >= 0).sum()) for x in (train, test)] == [25_060, 3_199]
    assert [int((ferplus7_label(x.votes) >= 0).sum()) for x in (train, test)] == [28_224, 3_529]
    kept = ferplus7_label(test.votes) >= 0
    assert int((kept & is_tie(test.votes)).sum()) == 157
    assert int((kept & ~is_tie(test.votes)).sum()) == 3_372


def test_fer2013s_labels_differ_from_ferplus_as_often_as_the_readme_says(fer2013: Path) -> None:
    text = " ".join((ROOT / "README.md").read_text().split())
    for split in ("train", "public_test"):
        faces = read_split(fer2013, split)
        voted = ferplus7_label(faces.votes)
        differ = (voted != faces.label)[voted >= 0].mean()
        assert f"its labels differ in {100 * differ:.0f} % of the images" in text


def test_csv_without_votes(tmp_path: Path) -> None:
    faces = tiny_faces(7)
    write_csv(tmp_path, {"Training": faces}, votes=False)
    assert read_split(tmp_path, "train").votes is None


def test_csv_of_the_copy_with_spaces_in_its_header(tmp_path: Path) -> None:
    faces = tiny_faces(7)
    write_csv(tmp_path, {"Training": faces})
    text = (tmp_path / "fer2013.csv").read_text()
    (tmp_path / "fer2013.csv").write_text(text.replace("pixels,Usage", " pixels, Usage", 1))
    assert_equal(read_split(tmp_path, "train"), faces)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda rows: [rows[0], rows[1].replace(" ", "", 1), *rows[2:]], "row 0: not 48x48"),
        (lambda rows: [*rows[:2], "7" + rows[2][1:], *rows[3:]], "row 1: label '7' is not one"),
        (lambda rows: [*rows[:3], rows[3][:900]], "row 2: the line is cut short"),
        (lambda rows: [*rows[:2], rows[2].replace(" ", " x", 1)], "row 1: pixels are not all num"),
        (lambda rows: [*rows[:2], rows[2].replace(" ", " 256", 1)], "row 1: not 48x48 grey lev"),
        (lambda rows: [*rows[:2], rows[2].replace(" ", " " + 30 * "9", 1)], "row 1: pixels are"),
        (lambda rows: [row.replace("Training", "Train") for row in rows], 'Usage "Train" is none'),
        (lambda rows: [rows[0].replace("emotion", "label"), *rows[1:]], "no column emotion"),
        (lambda rows: rows[:1], "has no rows of Training"),
        (lambda rows: rows[:-1], "has 7 rows, fer2013.csv has 6"),
    ],
)
def test_a_spoiled_csv_is_named_with_its_row(spoil, sentence: str, tmp_path: Path) -> None:
    write_csv(tmp_path, {"Training": tiny_faces(7)})
    rows = (tmp_path / "fer2013.csv").read_text().splitlines()
    (tmp_path / "fer2013.csv").write_text("\n".join(spoil(rows)))
    with pytest.raises(DataError, match=sentence) as error:
        read_split(tmp_path, "train")
    assert "fer2013" in str(error.value)


def test_a_csv_with_a_byte_order_mark(tmp_path: Path) -> None:
    faces = tiny_faces(7)
    write_csv(tmp_path, {"Training": faces})
    path = tmp_path / "fer2013.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert_equal(read_split(tmp_path, "train"), faces)


@pytest.mark.parametrize("votes", [[0] * 10, [0.5, 0.5, *[0] * 8]], ids=["none", "shares"])
def test_votes_that_are_no_counts_are_refused(votes: list[float], tmp_path: Path) -> None:
    picture = {"bytes": cv2.imencode(".png", tiny_faces(1).grey[0])[1].tobytes(), "path": ""}
    table = {"image": [picture], "label": [0], "votes": [votes]}
    pq.write_table(pa.table(table), tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r"train.parquet, row 0: not ten counts of votes"):
        read_split(tmp_path, "train")


def test_a_csv_in_another_encoding_is_named(tmp_path: Path) -> None:
    write_csv(tmp_path, {"Training": tiny_faces(7)})
    path = tmp_path / "fer2013.csv"
    path.write_bytes(path.read_bytes() + "é".encode("latin-1"))
    with pytest.raises(DataError, match=r"fer2013.csv is not a CSV file in UTF-8"):
        read_split(tmp_path, "train")


def test_one_set_bears_its_own_name_and_a_split_bears_the_splits(tmp_path: Path) -> None:
    write_pictures(tmp_path / "rafdb", ["happy"], 1)
    write_pictures(tmp_path / "copy/train", ["happy"], 1)
    (tmp_path / "shards").mkdir()
    for name in ("train-00000-of-00002", "affectnet", "train_mine"):
        write_parquet(tmp_path / "shards" / f"{name}.parquet", tiny_faces(7))
    for data, name in (
        ("rafdb", "rafdb"),
        ("shards/affectnet.parquet", "affectnet.parquet"),
        ("shards/train_mine.parquet", "train_mine.parquet"),
        ("shards/train-00000-of-00002.parquet", "train"),
        ("shards", "public_test"),
        ("copy", "public_test"),
    ):
        assert split_name(tmp_path / data, "public_test") == name


def test_votes_that_belong_to_other_rows(tmp_path: Path) -> None:
    faces = tiny_faces(7)
    write_csv(tmp_path, {"Training": faces, "PublicTest": faces})
    path = tmp_path / "fer2013new.csv"
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *rows[1:], rows[0]]))
    with pytest.raises(DataError, match=r"fer2013new.csv, row 6: Usage differs"):
        read_split(tmp_path, "train")


def test_a_spoiled_parquet_is_named(tmp_path: Path) -> None:
    path, faces = tmp_path / "train.parquet", tiny_faces(7)
    write_parquet(path, faces)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"train.parquet is truncated"):
        read_split(tmp_path, "train")
    image = {"bytes": b"not a picture", "path": ""}
    pq.write_table(pa.table({"image": [image], "label": [0]}), path)
    with pytest.raises(DataError, match=r"train.parquet, row 0: not a readable picture"):
        read_split(tmp_path, "train")
    pq.write_table(pa.table({"label": [0]}), path)
    with pytest.raises(DataError, match=r"train.parquet has no column image"):
        read_split(tmp_path, "train")
    faces.label[3] = 9
    write_parquet(path, faces)
    with pytest.raises(DataError, match=r"train.parquet, row 3: label 9"):
        read_split(tmp_path, "train")
    faces.label[3], faces.votes[5] = 0, 11
    write_parquet(path, faces)
    with pytest.raises(DataError, match=r"train.parquet, row 5: not ten counts"):
        read_split(tmp_path, "train")


def test_shards_of_which_some_have_no_votes_are_refused(tmp_path: Path) -> None:
    faces = tiny_faces(14)
    write_parquet(tmp_path / "train-00000-of-00002.parquet", faces[:7])
    bare = LabelledFaces(faces.grey[7:], faces.label[7:], None)
    write_parquet(tmp_path / "train-00001-of-00002.parquet", bare)
    with pytest.raises(DataError, match=r"train-00001-of-00002.parquet has no column votes"):
        read_split(tmp_path, "train")


def test_a_parquet_file_of_another_name_is_no_shard(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", tiny_faces(7))
    write_parquet(tmp_path / "train_backup.parquet", tiny_faces(14))
    assert len(read_split(tmp_path, "train")) == 7


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        read_split(tmp_path / "nowhere", "train")
    with pytest.raises(DataError, match="holds no pictures"):
        read_split(tmp_path, "train")


@pytest.mark.parametrize(
    "names",
    [
        list(EXPRESSIONS),
        ["anger", "Disgusted", "fearful", "happiness", "SAD", "surprised", "neutral"],
    ],
)
def test_image_folders(names: list[str], tmp_path: Path) -> None:
    write_pictures(tmp_path / "train", names, 3)
    write_pictures(tmp_path / "validation", names, 2, side=96)
    train, test = read_split(tmp_path, "train"), read_split(tmp_path, "public_test")
    assert np.bincount(train.label).tolist() == [3] * 7
    assert np.bincount(test.label).tolist() == [2] * 7
    assert train.grey.shape == (21, 48, 48)
    assert test.grey.shape == (14, 48, 48)
    assert test.votes is None
    assert "figures compare with nobody's" in test.caution


def test_of_three_folders_test_is_held_out(tmp_path: Path) -> None:
    for name, level in (("train", 1), ("validation", 2), ("test", 3)):
        write_pictures(tmp_path / name, ["happy"], 1, level=level)
    splits = ("train", "public_test", "private_test")
    assert [read_split(tmp_path, split).grey[0, 0, 0] for split in splits] == [1, 2, 3]
    assert "(1 and 1 and 1 pictures)" in read_split(tmp_path, "public_test").caution


def test_fer2013_in_three_folders_is_the_official_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"train": 3, "public_test": 2, "private_test": 1}
    monkeypatch.setattr("training.data.OFFICIAL_COUNTS", counts)
    for name, count in zip(("train", "validation", "test"), counts.values(), strict=True):
        write_pictures(tmp_path / name, ["happy"], count)
    test = read_split(tmp_path, "public_test")
    assert (len(test), test.caution, test.for_selection) == (2, "", True)


def test_the_copy_with_merged_tests_is_flagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.data.MERGED_TESTS", (5, 2))
    write_pictures(tmp_path / "train", ["happy"], 5)
    write_pictures(tmp_path / "test", ["happy"], 2)
    test = read_split(tmp_path, "public_test")
    assert "PublicTest and PrivateTest merged" in test.caution
    assert not test.for_selection
    with pytest.raises(DataError, match="none of them keeps PrivateTest apart"):
        read_split(tmp_path, "private_test")


def test_the_copy_that_trains_on_tests_is_flagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.data.TRAINS_ON_TESTS", (6, 1))
    write_pictures(tmp_path / "train", ["happy"], 6)
    write_pictures(tmp_path / "validation", ["happy"], 1)
    test = read_split(tmp_path, "public_test")
    assert "train/ contains images of FER2013's tests" in test.caution
    assert not test.for_selection


@pytest.mark.parametrize("held", ["test", "validation"])
def test_a_part_of_such_a_copy_is_flagged_where_it_is_named_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    known = {"test": "MERGED_TESTS", "validation": "TRAINS_ON_TESTS"}
    monkeypatch.setattr(f"training.data.{known[held]}", (3, 2))
    write_pictures(tmp_path / "train", ["happy"], 3)
    write_pictures(tmp_path / held, ["happy"], 2)
    write_pictures(tmp_path / "mine", ["happy"], 2)
    whole, part = (read_split(data, "public_test") for data in (tmp_path, tmp_path / held))
    assert part.caution == whole.caution != ""
    assert not part.for_selection
    assert read_split(tmp_path / "mine", "public_test").caution == ""
    monkeypatch.chdir(tmp_path)
    assert not read_split(Path(held), "public_test").for_selection
    write_pictures(tmp_path / "other" / "train", ["happy"], 1)
    write_pictures(tmp_path / "other" / held, ["happy"], 1)
    assert read_split(tmp_path / "other" / held, "public_test").caution == "", "no FER2013"


def test_the_parts_of_a_copy_may_be_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.data.MERGED_TESTS", (3, 2))
    (tmp_path / "copy").mkdir()
    for name, stored, count in (("train", "a", 3), ("test", "other/train", 2)):
        write_pictures(tmp_path / stored, ["happy"], count)
        (tmp_path / "copy" / name).symlink_to(tmp_path / stored)
    assert read_split(tmp_path / "copy", "train").for_selection
    assert not read_split(tmp_path / "copy", "public_test").for_selection


def test_label_maps(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["joy", "contempt", "anger"], 2)
    with pytest.raises(DataError, match="Give --labels contempt=EXPRESSION, or contempt=skip"):
        read_split(tmp_path, "public_test")
    faces = read_split(tmp_path, "public_test", {"joy": "happy", "contempt": "skip"})
    assert faces.label.tolist() == [0, 0, 3, 3]
    with pytest.raises(DataError, match="A label map gives one of"):
        read_split(tmp_path, "public_test", {"joy": "glad"})


def test_pictures_that_are_not_faces_crops(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["happy"], 1)
    wide = cv2.imencode(".png", np.zeros((48, 96), np.uint8))[1].tobytes()
    (tmp_path / "happy/wide.png").write_bytes(wide)
    with pytest.raises(DataError, match=r"wide.png: 96x48 pixels, not square"):
        read_split(tmp_path, "public_test")
    (tmp_path / "happy/wide.png").write_bytes(wide[:20])
    with pytest.raises(DataError, match=r"wide.png: not a readable picture"):
        read_split(tmp_path, "public_test")
