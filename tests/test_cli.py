"""`python -m fer_demo analyse`, as a person runs it, on the weights that ship."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fer_demo.__main__ import as_text, main
from fer_demo.export import to_record
from fer_demo.types import EXPRESSIONS
from fer_demo.weights import DETECTOR_FILE, DETECTOR_REPO, DETECTOR_REVISION
from tests.analyses import HAPPY, SAD_OR_NEUTRAL, made_analysis
from tests.conftest import ROOT
from tests.hub_server import HubServer


@pytest.fixture(scope="module")
def analysed(
    photos: Path, yunet_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]], Path]:
    """The photographs and a file that is none, with YuNet served by a Hub on loopback."""
    folder = tmp_path_factory.mktemp("cli")
    broken = folder / "notes.jpg"
    broken.write_text("not a picture")
    out = folder / "out"
    with HubServer() as hub:
        files = {DETECTOR_FILE: yunet_file.read_bytes()}
        hub.commit(DETECTOR_REPO, files, oid=DETECTOR_REVISION)
        given = map(str, (photos / "obama.jpg", broken, photos / "two_people.jpg", "--out", out))
        done = subprocess.run(
            [sys.executable, "-m", "fer_demo", "analyse", *given, "--json"],
            env=os.environ | {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(folder / "cache")},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
    return done, [json.loads(line) for line in done.stdout.splitlines()], out


def test_a_smiling_face_is_found_and_called_happy(analysed: Any) -> None:
    _, records, _ = analysed
    (face,) = records[0]["faces"]
    assert records[0]["detector"] == "yunet"
    assert (records[0]["width"], records[0]["height"]) == (910, 1137)
    assert face["label"] == "happy"
    assert not face["uncertain"]
    assert len(face["landmarks"]) == 5
    assert tuple(face["probabilities"]) == EXPRESSIONS
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    x1, y1, x2, y2 = face["box"]
    assert (x1, y1) == pytest.approx((373, 92), abs=25)
    assert (x2, y2) == pytest.approx((607, 414), abs=25)


def test_two_people_are_two_faces_left_to_right(analysed: Any) -> None:
    _, records, _ = analysed
    faces = records[2]["faces"]
    assert [face["id"] for face in faces] == [1, 2]
    assert faces[0]["box"][0] < faces[1]["box"][0]


def test_a_file_that_is_no_picture_is_named_and_the_others_go_on(analysed: Any) -> None:
    done, records, _ = analysed
    assert set(records[1]) == {"image", "error"}
    assert records[1]["error"].startswith("notes.jpg was not read: ")
    assert len(records) == 3
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_annotated_pictures_and_a_table_are_written(analysed: Any) -> None:
    _, _, out = analysed
    assert sorted(p.name for p in out.iterdir()) == [
        "001-obama.png",
        "003-two_people.png",
        "faces.csv",
    ]
    assert Image.open(out / "001-obama.png").size == (910, 1137)
    rows = list(csv.DictReader((out / "faces.csv").read_text("utf-8-sig").splitlines()))
    assert len(rows) == 3
    assert [row["picture"] for row in rows] == ["1", "3", "3"], "the numbers of the files' names"


def test_a_pipe_sees_no_progress_bar(analysed: Any) -> None:
    done, _, _ = analysed
    assert done.stderr == ""


Analyse = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def analyse(without_yunet: None, capsys: pytest.CaptureFixture[str]) -> Analyse:
    """The command in this process: its status, what it printed as JSON, and its stderr."""

    def run(*arguments: object) -> tuple[int, list[dict[str, Any]], str]:
        status = main(["analyse", *map(str, arguments), "--json"])
        printed = capsys.readouterr()
        return status, [json.loads(line) for line in printed.out.splitlines()], printed.err

    return run


def test_without_network_the_simpler_detector_answers(photos: Path, analyse: Analyse) -> None:
    # What the Hub's client does, and for how long, is held in tests/hub.
    status, records, told = analyse(photos / "obama.jpg")
    assert records[0]["detector"] == "haar"
    assert records[0]["faces"][0]["label"] == "happy"
    assert status == 0
    assert told.startswith("Using the simpler face detector: ")


def test_a_folder_is_walked_and_an_unknown_model_is_refused_in_a_sentence(
    tmp_path: Path, analyse: Analyse
) -> None:
    (tmp_path / "deep").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "deep" / "plain.png")
    (tmp_path / "deep" / "readme.txt").write_text("not tried")
    status, records, _ = analyse(tmp_path)
    assert [record["faces"] for record in records] == [[]]
    assert status == 0
    status, records, told = analyse(tmp_path, "--model", "x")
    assert status == 2
    assert records == []
    assert told.startswith('There is no model "x".')


def test_a_folder_without_pictures_is_not_taken_for_success(
    tmp_path: Path, analyse: Analyse
) -> None:
    status, records, told = analyse(tmp_path, "--out", tmp_path / "out")
    assert (status, records) == (2, [])
    assert told.endswith(f"No picture was found in {tmp_path}.\n")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("out", [".", "annotated"])
def test_what_an_earlier_run_wrote_is_not_analysed(
    photos: Path, tmp_path: Path, analyse: Analyse, out: str
) -> None:
    shutil.copy(photos / "obama.jpg", tmp_path / "2024-obama.jpg")
    for _ in range(2):
        status, records, _ = analyse(tmp_path, "--model", "resnet18", "--out", tmp_path / out)
        names = [Path(record["image"]).name for record in records]
        assert (status, names) == (0, ["2024-obama.jpg"])
    # Elsewhere a picture of that name is a person's own.
    assert len(analyse(tmp_path, "--model", "resnet18", "--out", tmp_path / "other")[1]) == 2


def test_a_deployer_may_limit_the_faces_of_a_picture(
    photos: Path, analyse: Analyse, monkeypatch: pytest.MonkeyPatch
) -> None:
    (free,) = analyse(photos / "two_people.jpg")[1]
    monkeypatch.setenv("FER_MAX_FACES", "1")
    (limited,) = analyse(photos / "two_people.jpg")[1]
    assert len(free["faces"]) > 1
    assert len(limited["faces"]) == 1
    assert limited["left_out"] == len(free["faces"]) - 1


def test_words_are_those_of_the_page(
    photos: Path, without_yunet: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analyse", str(photos / "obama.jpg"), "--model", "resnet18"]) == 0
    assert re.search(r"^   1  happy > \d\d %", capsys.readouterr().out, re.MULTILINE)


def test_a_threshold_that_no_face_meets_is_told_with_what_to_do(
    photos: Path, without_yunet: None, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = photos / "obama.jpg"
    assert main(["analyse", str(picture), "--threshold", "0.99"]) == 0
    assert capsys.readouterr().out == f"{picture}: no face found. Try a lower --threshold.\n"


def test_an_uncertain_answer_names_two_and_what_speaks_against_it() -> None:
    record = to_record(replace(made_analysis([HAPPY, SAD_OR_NEUTRAL]), left_out=3), "a.jpg")
    head, sure, uncertain, rest = as_text(record).splitlines()
    assert head == "a.jpg: 2 found by yunet"
    assert sure == "   1  happy 97 %"
    assert uncertain == "   2  uncertain: sad 41 % or neutral 38 % (Small face.)"
    assert rest == "  3 more were left out."


@pytest.mark.parametrize(
    ("full", "status", "said"),
    [(False, 0, ""), (True, 2, "the output: No space left on device.\n")],
    ids=["a pipe that nobody reads", "a full disk"],
)
def test_an_output_that_takes_nothing_more_is_no_surprise(
    tmp_path: Path,
    without_yunet: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    full: bool,
    status: int,
    said: str,
) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "plain.png")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(os.open("/dev/full", os.O_WRONLY) if full else writer, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert main(["analyse", str(tmp_path)]) == status
        monkeypatch.undo()
        if full:
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    assert capsys.readouterr().err.endswith(said)


@pytest.mark.parametrize("out", ["taken", "taken/inside"])
def test_where_nothing_can_be_written_a_sentence_says_so(
    tmp_path: Path, analyse: Analyse, out: str
) -> None:
    (tmp_path / "taken").write_text("a file")
    status, _, told = analyse(tmp_path, "--out", tmp_path / out)
    assert status == 2
    assert told.startswith(f"{tmp_path / out}: ")
