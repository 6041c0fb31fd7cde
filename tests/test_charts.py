"""Figures and the sentences they show."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from fer_demo import charts
from fer_demo.types import EXPRESSIONS
from tests.analyses import made_analysis


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
