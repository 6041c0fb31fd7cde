"""Records, tables and archives."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fer_demo import export
from fer_demo.images import read_photo
from fer_demo.types import EXPRESSIONS, Faces, Photo
from tests.analyses import HAPPY, made_analysis


def rows(data):
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))


def test_record_has_the_command_lines_layout():
    record = export.to_record(made_analysis(), "a.jpg")
    assert list(record) == [
        "picture", "image", "width", "height", "detector", "model", "uncertain_below", "faces",
        "seconds",
    ]  # fmt: skip
    assert (record["width"], record["height"]) == (640, 400)
    assert list(record["seconds"]) == ["decode", "detect", "crop", "classify", "total"]
    first, second = record["faces"]
    assert list(first) == [
        "id", "box", "score", "landmarks", "label", "confidence", "uncertain", "probabilities",
        "warnings",
    ]  # fmt: skip
    assert (first["id"], first["label"], first["uncertain"]) == (1, "happy", False)
    assert (second["id"], second["label"], second["uncertain"]) == (2, "sad", True)
    assert tuple(first["probabilities"]) == EXPRESSIONS
    assert first["confidence"] == pytest.approx(0.97, abs=1e-5)
    assert np.shape(first["box"]) == (4,)
    assert np.shape(first["landmarks"]) == (5, 2)
    assert second["warnings"] == ["Small face."]
    assert json.loads(json.dumps(record)) == record, "plain JSON values only"


def test_record_of_faces_without_landmarks_says_null():
    record = export.to_record(made_analysis(landmarks=False), "a.jpg")
    assert record["faces"][0]["landmarks"] is None


def test_record_of_a_reduced_photo_is_in_pixels_of_the_file():
    small = made_analysis((HAPPY,))
    large = replace(small, photo=Photo(small.photo.rgb, full_size=(1280, 800)))
    record, doubled = export.to_record(small, "a.jpg"), export.to_record(large, "a.jpg")
    assert (doubled["width"], doubled["height"]) == (1280, 800)
    assert doubled["faces"][0]["box"] == [2 * v for v in record["faces"][0]["box"]]


@pytest.mark.parametrize("full", [(30, 12_000), (12_000, 30), (27, 12_000), (31, 12_000)])
def test_boxes_of_a_very_narrow_reduced_photo_lie_inside_the_file(full):
    buffer = io.BytesIO()
    Image.new("RGB", full).save(buffer, "PNG")
    photo = read_photo(buffer.getvalue(), "a.png")
    whole = np.array([[0, 0, photo.width, photo.height]], np.float32)
    analysis = replace(
        made_analysis((HAPPY,)), photo=photo, faces=Faces(whole, np.ones(1, np.float32))
    )
    box = export.to_record(analysis, "a.png")["faces"][0]["box"]
    assert box[2] <= full[0]
    assert box[3] <= full[1]
    assert box[2:] == pytest.approx(full, abs=photo.scale)


def test_record_without_faces():
    assert export.to_record(made_analysis(()), "a.jpg")["faces"] == []


def test_two_files_of_one_name_are_told_apart_by_the_number_of_their_folder():
    pictures = [("image.jpg", made_analysis((HAPPY,))), ("image.jpg", made_analysis())]
    records = export.to_records(pictures)
    assert [record["picture"] for record in records] == [1, 2]
    with zipfile.ZipFile(io.BytesIO(export.to_zip(pictures))) as archive:
        table = rows(archive.read("faces.csv"))
        assert table == rows(export.to_csv(records))
        for row in table:
            folder, face = int(row["picture"]), int(row["face"])
            assert f"picture-{folder:03d}/face-{face:03d}.png" in archive.namelist()
        assert json.loads(archive.read("faces.json")) == records
    assert [(row["picture"], row["face"]) for row in table] == [("1", "1"), ("2", "1"), ("2", "2")]


def test_json_is_an_array_that_keeps_names_and_errors():
    records = [export.to_record(made_analysis(), "Zoë.jpg"), {"image": "x", "error": "No."}]
    assert json.loads(export.to_json(records)) == records


def test_csv_has_one_row_a_face():
    records = [export.to_record(made_analysis(), "a.jpg"), {"image": "x", "error": "No."}]
    first, second = rows(export.to_csv(records))
    assert (first["image"], first["face"], first["label"]) == ("a.jpg", "1", "happy")
    assert second["uncertain"] == "true"
    assert sum(float(first[label]) for label in EXPRESSIONS) == pytest.approx(1, abs=1e-4)


def test_csv_says_that_it_is_utf_8_for_excel():
    data = export.to_csv([export.to_record(made_analysis((HAPPY,)), "Zoë.jpg")])
    assert data.startswith("\ufeff".encode())
    assert rows(data)[0]["image"] == "Zoë.jpg"


def test_a_moved_limit_is_told_beside_what_it_decided():
    moved = replace(made_analysis((HAPPY,)), uncertain_below=0.98)
    record = export.to_record(moved, "a.jpg")
    assert record["uncertain_below"] == 0.98
    (row,) = rows(export.to_csv([record]))
    assert (row["uncertain"], row["uncertain_below"]) == ("true", "0.98")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_cells_from_outside_are_no_formulas(start):
    name = f'{start}HYPERLINK("http://example.org","x").jpg'
    (row,) = rows(export.to_csv([export.to_record(made_analysis((HAPPY,)), name)]))
    assert row["image"].startswith("'" + start)


def test_csv_leaves_negative_numbers_alone():
    record = export.to_record(made_analysis((HAPPY,)), "a.jpg")
    record["faces"][0]["box"][0] = -3.5
    assert rows(export.to_csv([record]))[0]["x1"] == "-3.5"


def test_annotated_png_has_the_photos_size():
    with Image.open(io.BytesIO(export.annotated_png(made_analysis()))) as image:
        assert (image.format, image.size) == ("PNG", (640, 400))


def test_zip_members_are_named_by_number_alone():
    pictures = [("../../evil.jpg", made_analysis()), ("same.jpg", made_analysis((HAPPY,)))]
    data = export.to_zip(pictures, [{"image": "bad.txt", "error": "bad.txt was not read."}])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "faces.csv",
            "faces.json",
            "picture-001/annotated.png",
            "picture-001/face-001.png",
            "picture-001/face-002.png",
            "picture-002/annotated.png",
            "picture-002/face-001.png",
        ]
        assert len(rows(archive.read("faces.csv"))) == 3
        records = json.loads(archive.read("faces.json"))
    assert [record["image"] for record in records] == ["../../evil.jpg", "same.jpg", "bad.txt"]
