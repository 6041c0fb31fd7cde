"""The lock file that the tests are installed from, and its audit for known vulnerabilities."""

from __future__ import annotations

import importlib.util
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT

LOCK = (ROOT / "requirements-lock.txt").read_text()
ENTRIES = re.split(r"\n(?=[a-z])", re.sub(r"^ *#.*\n", "", LOCK, flags=re.MULTILINE))


def locked() -> dict[str, str]:
    """Version by name, as this Python on this system would install it."""
    found = [Requirement(entry.split("\\\n")[0]) for entry in ENTRIES]
    return {
        one.name: str(one.specifier).removeprefix("==")
        for one in found
        if one.marker is None or one.marker.evaluate()
    }


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_the_lock_holds_what_is_required(name: str) -> None:
    lines = re.sub(r"\s*#.*", "", (ROOT / name).read_text()).split("\n")
    required = [Requirement(line) for line in lines if line and not line.startswith("-r")]
    versions = locked()
    assert len(required) > 5
    assert [str(one) for one in required if not one.specifier.contains(versions[one.name])] == []


def test_every_locked_file_is_known_by_its_hash() -> None:
    assert len(ENTRIES) > 100
    for entry in ENTRIES:
        first, *hashes = entry.rstrip().split(" \\\n")
        assert "==" in first
        assert hashes
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", line) for line in hashes), first


def test_the_tests_are_installed_from_the_lock() -> None:
    pattern = re.compile(r"^python3 -m venv .*-m pytest$", re.MULTILINE)  # as .ci/run finds it
    (command,) = pattern.findall((ROOT / "README.md").read_text())
    assert "pip install -r requirements-lock.txt" in command


# --- the audit ------------------------------------------------------------------------------------


@pytest.fixture
def audit() -> ModuleType:
    """`.ci/audit.py`."""
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def service(status: int, answer: object) -> Iterator[str]:
    """A service of known vulnerabilities that says the same of every package."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def run(audit: ModuleType, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    lock = folder / "lock.txt"
    lock.write_text(f"tqdm==4.60.0 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(audit, "LOCK", lock)
    monkeypatch.setattr(
        audit, "AUDIT", [*audit.AUDIT, "--vulnerability-service=osv", f"--osv-url={url}"]
    )
    return audit.main()


def test_a_known_vulnerability_fails(
    audit: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    finding = {
        "id": "PYSEC-1",
        "aliases": ["CVE-1"],
        "affected": [{"package": {"name": "tqdm", "ecosystem": "PyPI"}, "ranges": []}],
    }
    with service(200, {"vulns": [finding]}) as url:
        assert run(audit, url, tmp_path, monkeypatch) == 1
    assert "tqdm 4.60.0: PYSEC-1, fixed in no version (not waived)" in capsys.readouterr().out


@pytest.mark.parametrize("status", [None, 503], ids=["no connection", "an error"])
def test_without_the_service_a_sentence_says_so(
    status: int | None,
    audit: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with service(status or 200, {}) as url:
        if status is None:
            url = "http://127.0.0.1:9/"
        assert run(audit, url, tmp_path, monkeypatch) == 0
    assert capsys.readouterr().out.startswith("The packages were not audited: ")


def test_a_broken_lock_file_is_not_taken_for_a_broken_network(
    audit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "lock.txt"
    broken.write_text("tqdm==4.60.0\n")
    monkeypatch.setattr(audit, "LOCK", broken)
    assert audit.main() == 1


def test_a_waiver_holds_until_its_day(audit: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(audit.WAIVERS, "CVE-1", (date(2026, 5, 1), "not called"))
    finding = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["5.0"]}
    packages = [{"name": "tqdm", "version": "4.60.0", "vulns": [finding]}]
    assert audit.judge(packages, date(2026, 5, 1))[1] is False
    lines, failed = audit.judge(packages, date(2026, 5, 2))
    assert failed
    assert lines[0] == "tqdm 4.60.0: PYSEC-1, fixed in 5.0 (not waived)"


def test_a_package_that_was_not_looked_up_fails(audit: ModuleType) -> None:
    packages = [
        {"name": "tqdm", "version": "4.60.0", "vulns": []},
        {"name": "none", "skip_reason": "not found"},
    ]
    lines, failed = audit.judge(packages, date(2026, 5, 1))
    assert failed
    assert lines[0] == "none was not looked up: not found"


def test_a_lock_of_which_nothing_was_looked_up_fails(audit: ModuleType) -> None:
    assert audit.judge([], date(2026, 5, 1))[1] is True
