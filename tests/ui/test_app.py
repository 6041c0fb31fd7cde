"""What app.py does for every page, in-process."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from fer_demo.ui import resources


@pytest.mark.parametrize("page", ["photo", "live", "models", "about"])
def test_a_bad_setting_is_one_sentence_on_every_page(
    app: AppTest, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    monkeypatch.setenv("FER_THREADS", "two")
    resources.settings.clear()
    resources.slots.clear()
    app.switch_page(f"fer_demo/ui/{page}.py").run()
    assert not app.exception
    assert [error.value for error in app.error] == [
        'FER_THREADS must be a number above 0, not "two".'
    ]
    assert not app.markdown
