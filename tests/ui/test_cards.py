"""What a card says of its face and of its heat map, in-process, on tiny networks."""

from __future__ import annotations

import re

from streamlit.testing.v1 import AppTest

from tests.ui.photo_page import alts, pictures


def test_an_uncertain_face_says_which_confidence_an_answer_needs_here(app: AppTest) -> None:
    app.run().button(key="example-one").click().run()
    app.selectbox(key="model").set_value("unsure").run()
    (heading,) = [m for m in app.markdown if m.value.startswith("##### Uncertain")]
    assert "An answer needs a confidence of 100 % here, and" in heading.help
    analysis = next(iter(pictures(app).picture.analyses.values()))
    confidence = 100 * float(analysis.predictions.confidence[0])
    (reached,) = map(float, re.findall(r"has ([\d.]+) %", heading.help))
    assert confidence - 0.1 <= reached <= confidence


def test_a_heat_map_is_named_by_what_made_it(app: AppTest) -> None:
    app.run().button(key="example-one").click().run()
    for method, name in (("influence", "Influence"), ("evidence", "Evidence")):
        app.radio(key="map-method").set_value(method).run()
        assert len([alt for alt in alts(app) if alt.startswith(f"Face 1 with the {name} map")]) == 1
    assert app.button_group(key="face1").label == "Heat map for"
