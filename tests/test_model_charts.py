"""The charts and sentences of the Models page, from what was measured."""

from __future__ import annotations

import pytest

from fer_demo import (
    certainty_charts,
    error_charts,
    faithfulness_charts,
    model_charts,
    robustness_charts,
)
from fer_demo.measured import Measured, peers
from fer_demo.types import EXPRESSIONS


def test_every_chart_states_a_finding_and_has_its_numbers_as_a_table(model: Measured) -> None:
    result, document = model.heads["ferplus7"], model.faithfulness
    assert document is not None
    assert model.calibration is not None
    assert model.bench is not None
    ours = {"resnet18": (model.heads["fer2013"], model.split)}
    for chart in (
        model_charts.accuracy(ours, peers()["fer2013"], "FER2013"),
        model_charts.latency({"resnet18": (model.bench, 0.63)}, peers()["fer2013"]),
        error_charts.confusion(result, counts=False),
        robustness_charts.corruptions(result),
        robustness_charts.small_faces(result),
        robustness_charts.turned_faces(result),
        certainty_charts.reliability(model.calibration),
        certainty_charts.risk_coverage(result),
        faithfulness_charts.faithfulness(document, "influence"),
        faithfulness_charts.randomisation(document),
    ):
        assert any(letter.isdigit() for letter in chart.title) or "better" in chart.title
        assert chart.table
        assert all(row.keys() == chart.table[0].keys() for row in chart.table)
        assert chart.figure.data


def test_the_hardest_corruption_does_the_worst_at_any_level(model: Measured) -> None:
    result = dict(model.heads["ferplus7"])
    spoiled = {name: [0.8, 0.7, 0.6] for name in result["corruptions"]}
    chart = robustness_charts.corruptions(
        result | {"corruptions": spoiled | {"blur": [0.8, 0.51, 0.65]}, "corruptions_clean": 0.9}
    )
    assert chart.title.startswith(f"Hardest: medium blur, {model_charts.share(0.51, 0)}, against ")


def test_small_and_turned_faces_are_held_against_the_others(model: Measured) -> None:
    result = model.heads["ferplus7"] | {
        "small_faces": {"48 px": {"n": 900, "accuracy": 0.9}, "9 px": {"n": 900, "accuracy": 0.5}},
        "pose": {
            "yaw": {
                "below 0.1": {"n": 400, "accuracy": 0.8},
                "0.1 to 0.2": {"n": 100, "accuracy": 0.7},
                "0.2 and more": {"n": 0, "accuracy": None},
            }
        },
    }
    small, turned = robustness_charts.small_faces(result), robustness_charts.turned_faces(result)
    percent = {share: model_charts.share(share, 0) for share in (0.5, 0.7, 0.8, 0.9)}
    assert small.title == (
        f"Faces 9 px wide: {percent[0.5]} named as people did, against {percent[0.9]} at 48 px"
    )
    assert [row["±"] for row in small.table] == ["1.0", "1.7"]
    assert turned.title == (
        f"The most turned faces: {percent[0.7]}, against {percent[0.8]} of the most frontal"
    )
    assert [row["Turned"] for row in turned.table] == ["below 0.1", "0.1 to 0.2"], "none is empty"


def test_the_confusion_names_the_commonest_mistake(model: Measured) -> None:
    result = dict(model.heads["ferplus7"])
    matrix = [[90 if i == j else 0 for j in range(7)] for i in range(7)]
    fear, sad = EXPRESSIONS.index("fear"), EXPRESSIONS.index("sad")
    matrix[fear][sad] = 60
    chart = error_charts.confusion(result | {"confusion": matrix}, counts=True)
    assert chart.title.startswith("Most often mistaken: fear for sad, 40")
    assert chart.table[fear]["sad"] == "60"


@pytest.mark.parametrize(
    ("lows", "words"),
    [((0.1, 0.1, 0.1), "better than random maps on every measure"),
     ((0.1, -0.1, 0.1), "no better than random maps except on deletion and ROAD"),
     ((-0.1, -0.1, -0.1), "no better than random maps"),
     ((-0.1, -0.4, -0.1), "no better than random maps; worse than random maps on insertion")],
)  # fmt: skip
def test_the_verdict_follows_the_intervals(lows: tuple[float, ...], words: str) -> None:
    names = ("deletion", "insertion", "road")
    figures = {
        name: {"mean": low + 0.1, "low": low, "high": low + 0.2}
        for name, low in zip(names, lows, strict=True)
    }
    document = {"gains": {"evidence": {"random": figures}}}
    assert faithfulness_charts.verdict(document, "evidence") == f"Evidence is {words}"


def test_a_cell_is_told_along_its_row_and_down_its_column(model: Measured) -> None:
    result = dict(model.heads["ferplus7"])
    matrix = [[90 if i == j else 0 for j in range(7)] for i in range(7)]
    fear, sad = EXPRESSIONS.index("fear"), EXPRESSIONS.index("sad")
    matrix[fear][sad], matrix[sad][fear] = 10, 30
    result["confusion"] = matrix
    said = error_charts.cell(result, "fear", "sad").replace("\N{NO-BREAK SPACE}", " ")
    assert "Of 100 pictures that people called fear, the model called 10 (10 %) sad." in said
    assert "10 % of its 100 answers of sad" in said
    assert "30 of 120 pictures of sad were called fear" in said
    right = error_charts.cell(result, "fear", "fear").replace("\N{NO-BREAK SPACE}", " ")
    assert "90 rightly: a recall of 90 %" in right
    assert "Of its 120 answers of fear, 75 % are right" in right


def test_the_worst_are_those_found_least(model: Measured) -> None:
    result = {
        "per_class": {
            "sad": {"n": 100, "recall": 0.5}, "fear": {"n": 25, "recall": 0.2},
            "contempt": {"n": 0, "recall": 0.0}, "happy": {"n": 100, "recall": 0.9},
        },
        "confusion": [[50, 30, 0, 20], [15, 5, 0, 5], [0, 0, 0, 0], [10, 0, 0, 90]],
    }  # fmt: skip
    first, second = (
        sentence.replace("\N{NO-BREAK SPACE}", " ")
        for sentence in error_charts.worst_known(result, 2)
    )
    assert first == (
        "**Fear**: 20 % are found (of 25 pictures, so give or take 8 points); 60 % are called sad."
    )
    assert second.startswith("**Sad**")


def test_latency_draws_whom_the_same_command_timed(model: Measured) -> None:
    assert model.bench is not None
    chart = model_charts.latency({"resnet18": (model.bench, 0.7)}, peers()["fer2013"])
    assert [row["Model"] for row in chart.table] == ["resnet18 (this app)", "fer 25.10.3"]
    assert "resnet18 reads a photo in 90 ms" in chart.title
    alone = {**model.bench, "photo": {"photo_ms": 90.0, "fer_photo_ms": None}}
    chart = model_charts.latency({"resnet18": (alone, 0.7)}, peers()["fer2013"])
    assert [row["Model"] for row in chart.table] == ["resnet18 (this app)"]


def test_the_sentence_of_worth_warns_of_a_map_that_ignores_the_weights(model: Measured) -> None:
    document = model.faithfulness
    assert document is not None
    assert "trust it less" not in (faithfulness_charts.worth(document, "influence") or "")
    assert "trust it less" in (faithfulness_charts.worth(document, "layer_cam") or "")
    assert "trust it less" not in (faithfulness_charts.worth(document, "occlusion") or "")
    assert faithfulness_charts.worth(document, "unknown") is None


def test_what_it_was_not_made_for_is_told_beside_the_usual(model: Measured) -> None:
    assert model.outside is not None
    title, rows = robustness_charts.outside(model.outside)
    assert "upside down, 2\N{NO-BREAK SPACE}% named without a warning" in title
    assert [row["Kind"] for row in rows] == ["photographs (50)", "upside down (50)"]
    assert [row["Named, no warning"] for row in rows] == [
        "45\N{NO-BREAK SPACE}%",
        "2\N{NO-BREAK SPACE}%",
    ]
    assert [row["Of those right"] for row in rows] == ["80\N{NO-BREAK SPACE}%", "–"]
