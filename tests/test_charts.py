"""Figures and the sentences they show."""

from __future__ import annotations

import ast

import numpy as np
import plotly.graph_objects as go

from fer_demo import charts
from fer_demo.regions import RegionShares
from fer_demo.types import EXPRESSIONS
from tests.analyses import made_analysis
from tests.conftest import ROOT


def test_what_is_imported_elsewhere_is_what_the_module_offers():
    trees = [ast.parse(path.read_text()) for path in (ROOT / "fer_demo").rglob("*.py")]
    imported = {
        alias.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "fer_demo.charts"
        for alias in node.names
    }
    assert imported <= set(charts.__all__)
    assert all(hasattr(charts, name) for name in charts.__all__)


def test_finding_is_the_label_with_its_confidence():
    assert charts.finding(made_analysis(), 0) == "Happy, 97 %"


def test_finding_is_uncertain_below_the_threshold_with_the_two_nearest():
    assert charts.finding(made_analysis(), 1) == "Uncertain: sad 41 % or neutral 38 %"


def test_chart_has_seven_bars_in_order_on_a_fixed_percent_axis():
    figure = charts.probabilities_chart(made_analysis(), 0)
    (bars,) = figure.data
    assert tuple(bars.y) == EXPRESSIONS
    assert np.isclose(sum(bars.x), 100)
    assert tuple(bars.marker.color) == tuple(charts.COLOURS[label] for label in EXPRESSIONS)
    assert figure.layout.xaxis.range[0] == 0
    assert figure.layout.xaxis.tickvals == (0, 50, 100)
    assert figure.layout.title.text == "Happy 97 %, angry 1 %"
    assert figure.layout.template == go.layout.Template(charts.TEMPLATE)


def test_charts_set_no_ink_so_that_the_theme_does():
    figure = charts.probabilities_chart(made_analysis(), 0)
    assert figure.layout.font.color is None
    assert figure.layout.template.layout.font.color is None


def test_description_says_all_seven():
    words = charts.describe_face(made_analysis(), 1)
    assert words.startswith("Face 2. Uncertain: sad 41 % or neutral 38 %.")
    assert all(label in words for label in EXPRESSIONS)


def test_picture_chart_is_in_photo_pixels_with_y_downwards():
    figure = charts.picture_chart(np.zeros((200, 320, 3), np.uint8), (640, 400))
    assert figure.layout.xaxis.range == (0, 640)
    assert figure.layout.yaxis.range == (400, 0)
    assert figure.layout.dragmode == "select"
    assert figure.layout.images[0].source.startswith("data:image/jpeg;base64,")


def test_regions_name_the_one_that_holds_most_for_its_size():
    shares = RegionShares(
        towards=np.array([0.1, 0.0, 0.35, 0.3]),
        against=np.array([0.05, 0.05, 0.0, 0.15]),
        area=np.array([0.2, 0.1, 0.1, 0.6]),
    )
    said = charts.regions_finding(shares, "happy")
    assert said == "35 % of the map for happy lies around the mouth, on 10 % of the area"
    figure = charts.regions_chart(shares, signed=True)
    towards, against = figure.data
    assert np.allclose(towards.x, 100 * shares.towards)
    assert np.allclose(against.x, -100 * shares.against)
    assert towards.y[2] == "mouth<br>10 % of the area"
    assert len(charts.regions_chart(shares, signed=False).data) == 1
