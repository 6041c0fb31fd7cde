"""The Streamlit app: page config and navigation, nothing else. Start: `streamlit run app.py`."""

from __future__ import annotations

import streamlit as st

from fer_demo.ui.housekeeping import keep_house
from fer_demo.ui.layout import ICON, close_cameras_elsewhere, frame, told

PAGES = (
    st.Page("fer_demo/ui/photo.py", title="Photo", url_path="photo", default=True),
    st.Page("fer_demo/ui/live.py", title="Live", url_path="live"),
    st.Page("fer_demo/ui/models.py", title="Models", url_path="models"),
    st.Page("fer_demo/ui/about.py", title="About", url_path="about"),
)

st.set_page_config(page_title="Expression demo", page_icon=str(ICON), layout="wide")
page = st.navigation(list(PAGES), position="top")
frame()
close_cameras_elsewhere(page.url_path)
keep_house()
with told("app-again"):  # a bad setting, which any page may be the first to read
    page.run()
