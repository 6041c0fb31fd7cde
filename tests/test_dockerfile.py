"""The image for a Space: what can be held without a Docker engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from streamlit import config

from tests.conftest import ROOT

TEXT = (ROOT / "Dockerfile").read_text()


def test_every_setting_is_one_that_streamlit_knows() -> None:
    known = {option.env_var for option in config.get_config_options().values()}
    used = set(re.findall(r"\b(STREAMLIT_\w+)=", TEXT))
    assert len(used) > 3
    assert used <= known


@pytest.mark.parametrize(("host", "same_site"), [("me-fer.hf.space", "none"), ("", "")])
def test_the_cookie_goes_to_a_frame_of_another_site_in_a_space_only(
    tmp_path: Path, host: str, same_site: str
) -> None:
    assert not re.search(r"(XSRF_PROTECTION|CORS)=", TEXT)
    (command,) = re.findall(r"^CMD (\[.*\])$", TEXT, re.MULTILINE)
    streamlit = tmp_path / "streamlit"
    streamlit.write_text('#!/bin/sh\necho "$* $STREAMLIT_SERVER_XSRF_COOKIE_SAME_SITE"\n')
    streamlit.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SPACE_HOST": host}
    ran = subprocess.run(
        json.loads(command), env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == f"run app.py {same_site}".strip()


def test_it_runs_as_user_1000_on_the_port_of_the_front_matter() -> None:
    assert "--uid 1000" in TEXT
    assert re.findall(r"^USER (.*)$", TEXT, re.MULTILINE) == ["1000"]
    front = (ROOT / "README.md").read_text().split("---\n")[1]
    assert "sdk: docker" in front
    (port,) = re.findall(r"^app_port: (\d+)$", front, re.MULTILINE)
    assert f"EXPOSE {port}" in TEXT
    assert f"STREAMLIT_SERVER_PORT={port}" in TEXT


def test_torch_is_the_locked_version_from_the_index_of_cpu_builds() -> None:
    (step,) = re.findall(r"^RUN pip install .*--index-url (.*?)\n\n?(?=COPY)", TEXT, re.M | re.S)
    index, *packages = step.replace("\\\n", "").split()
    assert index == "https://download.pytorch.org/whl/cpu"
    lock = (ROOT / "requirements-lock.txt").read_text()
    assert packages == re.findall(r"^(torch==\S+|torchvision==\S+)", lock, re.MULTILINE)


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    sources = [
        source
        for line in re.findall(r"^COPY --chown=1000 (.*)$", TEXT, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    assert set(sources) == kept
    assert all((ROOT / source).exists() for source in sources)


def test_the_health_check_asks_where_the_app_is_served() -> None:
    (script,) = re.findall(r"HEALTHCHECK .* CMD \\\n +\[\"python\", \"-c\", \"(.*)\"\]\n", TEXT)
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    for path in ("", "/fer/"):
        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.handle_request, daemon=True).start()
            settings = {"STREAMLIT_SERVER_PORT": str(server.server_port)}
            settings |= {"STREAMLIT_SERVER_BASE_URL_PATH": path} if path else {}
            done = subprocess.run(
                [sys.executable, "-c", script], env={**os.environ, **settings}, check=False
            )
        assert done.returncode == 0
    assert seen == ["/_stcore/health", "/fer/_stcore/health"]


def test_the_commands_in_it_are_valid_shell() -> None:
    (step,) = re.findall(r"required=false \\\n(.*?)\n\n", TEXT, re.DOTALL)
    subprocess.run(["sh", "-n"], input=step, text=True, check=True)
