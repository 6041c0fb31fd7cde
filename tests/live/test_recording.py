from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from fer_demo.live.charts import strips
from fer_demo.live.recording import Recording
from tests.analyses import HAPPY, SAD_OR_NEUTRAL, made_analysis
from tests.live.conftest import numbered


def recorded(*rows: tuple[float, tuple[int, ...]]) -> Recording:
    recording = Recording()
    probabilities = {1: HAPPY, 2: SAD_OR_NEUTRAL}
    for seconds, present in rows:
        analysis = made_analysis([probabilities[p] for p in present])
        recording.add(numbered(analysis, *present), seconds)
    return recording


def test_a_recording_keeps_five_rows_a_second_and_a_person() -> None:
    recording = recorded(*[(k / 30, (1, 2) if k > 30 else (1,)) for k in range(90)])
    timeline = recording.timeline()
    assert len(timeline.of(1)) == pytest.approx(15, abs=1)
    assert len(timeline.of(2)) == pytest.approx(10, abs=1)
    assert timeline.of(1, since=2.0).seconds.min() >= 2.0


def test_a_full_recording_says_from_when_on_it_took_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fer_demo.live.recording.MAX_ROWS", 4)
    assert recorded((0.0, (1, 2)), (0.5, (1, 2))).full_from is None
    full = recorded((0.0, (1, 2)), (0.5, (1, 2)), (1.0, (1, 2)), (1.5, (1, 2)))
    assert full.full_from == 1.0
    assert len(full.timeline()) == 4


def test_csv_says_that_it_is_utf_8_for_excel() -> None:
    assert recorded((0.0, (1,))).timeline().to_csv().startswith("\ufeff".encode())


def test_shares_csv_and_json_say_the_same() -> None:
    timeline = recorded((0.0, (1, 2)), (0.5, (1, 2)), (1.0, (1,))).timeline()
    assert timeline.shares(1)["happy"] == 1.0
    assert timeline.shares(2)["uncertain"] == 1.0
    rows = list(csv.DictReader(io.StringIO(timeline.to_csv().decode("utf-8-sig"))))
    assert [(row["seconds"], row["person"]) for row in rows] == [
        ("0.0", "1"), ("0.0", "2"), ("0.5", "1"), ("0.5", "2"), ("1.0", "1"),
    ]  # fmt: skip
    assert rows[1]["uncertain"] == "true"
    record = json.loads(timeline.to_json())
    assert [person["person"] for person in record["people"]] == [1, 2]
    assert len(record["rows"]) == len(rows)
    for person in record["people"]:
        assert sum(person["time_share"].values()) == pytest.approx(1)


def test_seconds_and_shares_count_time_and_not_rows() -> None:
    # Six frames a second, and a row for each second one: a row stands for 1/3 s.
    slow = [(k / 6, (1,)) for k in range(61)]
    timeline = recorded(*slow, (30.0, (1,))).timeline()
    (person,) = json.loads(timeline.to_json())["people"]
    assert person["seconds"] == pytest.approx(10.4, abs=0.11)  # the last of each visit stands 0.2 s
    recording = Recording()
    for seconds, probs in ((0.0, HAPPY), (0.9, SAD_OR_NEUTRAL), (1.1, HAPPY), (1.3, HAPPY)):
        recording.add(numbered(made_analysis([probs]), 1), seconds)
    shares = recording.timeline().shares(1)
    assert shares["happy"] == pytest.approx(1.3 / 1.5)
    assert shares["uncertain"] == pytest.approx(0.2 / 1.5)


def test_the_strips_of_a_long_stream_are_one_trace_for_each_label() -> None:
    recording = Recording()
    for k in range(3000):
        pair = (SAD_OR_NEUTRAL, HAPPY) if k % 2 else (HAPPY, SAD_OR_NEUTRAL)
        recording.add(numbered(made_analysis(pair), 1, 2), k / 5)
    figure = strips(recording.timeline())
    happy, uncertain = figure.data
    assert (happy.name, uncertain.name) == ("happy", "uncertain")
    assert len(happy.x) == len(uncertain.x) == 3000
    assert set(happy.y) == {"Person 1", "Person 2"}
    np.testing.assert_allclose(happy.base[:3], [0, 0.4, 0.8], atol=1e-4)
    np.testing.assert_allclose(happy.x, 0.2, atol=1e-3)
    assert figure.layout.yaxis.categoryarray == ("Person 1", "Person 2")


def test_a_change_of_model_leaves_what_was_said_before_as_it_was() -> None:
    recording = Recording()
    for seconds, model, limit in ((0.0, "strict", 1.0), (0.5, "bold", 0.0)):
        analysis = replace(made_analysis([HAPPY]), model=model, uncertain_below=limit)
        recording.add(numbered(analysis, 1), seconds)
    timeline = recording.timeline()
    rows = json.loads(timeline.to_json())["rows"]
    assert [(row["model"], row["uncertain"]) for row in rows] == [("strict", True), ("bold", False)]
    shares = timeline.shares(1)  # 0.5 s the one, 0.2 s the other
    assert shares["uncertain"] == pytest.approx(5 / 7)
    assert shares["happy"] == pytest.approx(2 / 7)
    assert len(timeline.of(1, since=0.4)) == 1


def test_an_empty_recording_is_no_trouble() -> None:
    timeline = Recording().timeline()
    assert len(timeline) == 0
    assert timeline.people == ()
    assert timeline.to_csv().count(b"\n") == 1
    assert json.loads(timeline.to_json())["rows"] == []
