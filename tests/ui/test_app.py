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
        'FER_THREADS must be a number above 0 and up to 1,000,000, not "two".'
    ]


def test_who_clears_one_page_reads_that_the_other_has_its_own(app: AppTest) -> None:
    app.switch_page("fer_demo/ui/about.py").run()
    (privacy,) = [m.value for m in app.markdown if "Results stay" in m.value]
    assert 'Each page has its own "Clear"' in privacy
    assert "Photo page's" in privacy
    assert "Live page's" in privacy
