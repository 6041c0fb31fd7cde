"""The About page: what this is, how it works, where it fails, and what becomes of pictures."""

from __future__ import annotations

import streamlit as st

from fer_demo.faces import FaceDetector
from fer_demo.images import ACCEPTED, MAX_BYTES, MAX_PIXELS, MAX_SIDE
from fer_demo.ui import resources
from fer_demo.ui.layout import NOTICE_TITLE, told
from fer_demo.ui.origin import origin
from fer_demo.weights import WeightsFolder

WHAT = f"""
{NOTICE_TITLE}

It finds the faces in a picture and names the expression of each one: angry, disgust, fear, happy,
sad, surprise or neutral. It says how sure it is, shows which parts of the face spoke for and
against each expression, and says "uncertain" where no answer is good enough.
"""

HOW = """
1. A detector finds the faces. Each is cut out upright, the way the training pictures were.
2. A small network sees 48 x 48 grey pixels of it, and nothing else of the picture.
3. Its seven probabilities are calibrated: of the faces with a confidence of 80 %, people gave the
   same label to about 80 in 100. This was measured on FER2013 and holds for pictures like those.
4. The heat map shows what each place brings to the expression's score, against the same face
   blurred. Purple places speak for the expression, teal ones against it. Other maps can be chosen,
   among them the network's own last sum, place by place, whose mean plus a constant is the score,
   exactly; live video shows that one. Where several models answer together, their maps are
   averaged, and no sum is exact. The Models page tells how faithful each of them is.
"""

LIMITS = f"""
- People show feelings in many ways, and a scowl is often no anger. How expression and feeling go
  together differs across cultures, situations and people
  ([Barrett et al. 2019](https://doi.org/10.1177/1529100619832930)).
- The training pictures come from web searches of 2013 and were labelled by ten people each, who
  often disagreed. Disgust and fear are rare there and are missed most often.
- Small, blurred, dark or turned faces, children, masks, sunglasses and drawings are less reliable.
  The page warns where it can tell.
- A picture may have up to {MAX_BYTES // 10**6} MB, {MAX_PIXELS // 10**6} megapixels and
  {MAX_SIDE:,} pixels a side, as {ACCEPTED}.
"""

RESPONSIBLE = """
- Only analyse people who agreed, and tell them before.
- Not for employees, applicants, pupils or students. In the European Union, using a system to infer
  emotions at work or in education is prohibited, except for medical or safety reasons
  (Regulation (EU) 2024/1689, Article 5(1)(f)).
- Not for decisions about people: hiring, grading, policing, credit, insurance, diagnosis.
- Who runs this for others must inform the people exposed to it (Article 50(3)).
"""

PRIVACY = """
- Pictures are sent to the server that runs this app. On your own computer, that is your computer.
- They are processed in memory and not stored: no picture, crop, name or result is written to disk
  or to a log, and none is passed on or used for training.
- Results stay in this browser session until "Clear", or until the tab has been closed for a few
  minutes. Each page has its own "Clear": the Photo page's deletes the pictures there and what was
  found in them, the Live page's deletes the last stream and its saved moments.
- Downloads are made when you click.
- Live video has an encrypted connection of its own. To make it your browser may ask a STUN server
  for its public address, Google's where none is set, and a relay may pass the video on.
- The app sends no usage statistics.
"""

LICENCES = """
- The example photograph shows Eileen Collins (NASA, 1993, public domain), from scikit-image.
- Training data: FER2013 (Goodfellow et al. 2013) with the FER+ labels (Barsoum et al. 2016, MIT).
  The pictures themselves are not part of this app.
- Face detector: YuNet (Wu et al. 2023, MIT) from the OpenCV model zoo, or OpenCV's Haar cascade.
- Colours of the expressions after Okabe and Ito; of the evidence after ColorBrewer.
"""


def main() -> None:
    """Sections in the order of what a person needs first."""
    with st.container(width=760, key="about"):
        st.markdown("# About this demo", anchors=False)
        for title, text in (
            ("What it does", WHAT),
            ("Responsible use", RESPONSIBLE),
            ("Privacy", PRIVACY),
            ("How it works", HOW),
            ("Limits", LIMITS + _faces()),
        ):
            st.markdown(f"## {title}", anchors=False)
            st.markdown(text)
        st.markdown("## What is running here", anchors=False)
        _running()
        st.markdown("## Licences and sources", anchors=False)
        st.markdown(LICENCES)


def _faces() -> str:
    return f"- Up to {resources.settings().max_faces} faces of a picture are read.\n"


def _running() -> None:
    """Models and detector in use, as the server has them."""
    with told("about-again"):
        with st.spinner("Looking for the face detector and the models"):
            detector = resources.detector()
            folders = [resources.weights(name) for name in resources.models()]
        _names(detector, folders)


def _names(detector: FaceDetector, folders: list[WeightsFolder]) -> None:
    st.markdown(f"Face detector: {detector.name}.")
    if detector.notice:
        st.text(detector.notice)
    for folder in folders:
        card = folder.card
        st.markdown(
            f"- **{card.name}**: {card.architecture}, {card.input_size} x {card.input_size} px, "
            f"{card.size_bytes / 1e6:.1f} MB, {origin(card)}. SHA-256: `{card.sha256[:16]}…`"
        )
        # Words of whoever made the weights, so st.text.
        st.text(f"Licence: {card.licence}")
        if folder.notice:
            st.text(folder.notice)


if __name__ == "__main__":
    main()
