"""The settings that protect visitors, as the server reads them, and where a Space differs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

from tests.conftest import ROOT

ASKED = {
    "server.enableXsrfProtection": True,
    "server.enableCORS": True,
    "client.showErrorDetails": "none",
    "server.enableStaticServing": False,
    "browser.gatherUsageStats": False,
    "server.showEmailPrompt": False,
    "server.maxUploadSize": 20,
    "runner.magicEnabled": False,
}

A_SPACE_DIFFERS = {
    "STREAMLIT_SERVER_ADDRESS": "0.0.0.0",
    "STREAMLIT_SERVER_PORT": "8501",
    "STREAMLIT_SERVER_HEADLESS": "true",
    "STREAMLIT_SERVER_XSRF_COOKIE_SAME_SITE": "none",
}
"""Each is justified in the Dockerfile, above them."""

READ = """
import json
from streamlit import config
config.get_config_options(force_reparse=True)
print(json.dumps({name: config.get_option(name) for name in %r}))
"""


def settings(**environment: str) -> dict[str, object]:
    """What a server that is started here would use."""
    done = subprocess.run(
        [sys.executable, "-c", READ % list(ASKED)],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def space() -> dict[str, str]:
    """The settings of Streamlit in the Dockerfile."""
    return dict(re.findall(r"\b(STREAMLIT_\w+)=([^\s;]+)", (ROOT / "Dockerfile").read_text()))


def test_the_server_protects_uploads_and_tells_nothing() -> None:
    assert settings() == ASKED


def test_a_space_protects_the_same_and_differs_in_what_is_named() -> None:
    assert space() == A_SPACE_DIFFERS
    assert settings(**space()) == ASKED
