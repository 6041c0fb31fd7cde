"""TURN servers from each provider, asked on loopback, and the ways in which that fails."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import streamlit as st
from streamlit.runtime.caching import cache_utils

from fer_demo.errors import BadSetting
from fer_demo.live import turn
from fer_demo.live.turn import KEPT_SECONDS, LIFETIME, STUN, best_first, ice_servers
from fer_demo.settings import Settings
from fer_demo.ui import live_shared

URLS = [
    "stun:stun.example.com:3478",
    "turn:turn.example.com:3478?transport=udp",
    "turn:turn.example.com:3478?transport=tcp",
    "turn:turn.example.com:443?transport=tcp",
    "turns:turn.example.com:443?transport=tcp",
]
SECRET = {"username": "somebody", "credential": "a secret"}

CLOUDFLARE = {"CLOUDFLARE_TURN_KEY_ID": "a/key", "CLOUDFLARE_TURN_KEY_API_TOKEN": "token"}
TWILIO = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "token"}
HUGGING_FACE = {"HF_TOKEN": "token"}


@dataclass
class Provider:
    """What it will say, and what it was asked: method, path, authorization, body."""

    answer: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, str, str]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    state = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            state.asked.append((self.command, self.path, self.headers["Authorization"], body))
            answer = state.answer
            said = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(state.status)
            for name, value in {"Content-Length": str(len(said)), **state.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    for name, path in (("CLOUDFLARE", "/keys"), ("TWILIO", "/Accounts"), ("FASTRTC", "/hf")):
        monkeypatch.setattr(turn, name, state.url + path)
    yield state
    server.shutdown()
    server.server_close()


def test_cloudflare_is_asked_for_servers_that_outlive_their_keeping(provider: Provider) -> None:
    provider.answer = {"iceServers": [{"urls": URLS, **SECRET}]}
    assert ice_servers(CLOUDFLARE) == best_first([{"urls": URLS, **SECRET}])
    (method, path, authorization, body) = provider.asked[0]
    assert (method, authorization) == ("POST", "Bearer token")
    assert path == "/keys/a%2Fkey/credentials/generate-ice-servers"
    assert json.loads(body) == {"ttl": LIFETIME}
    # A stream that starts with credentials about to be replaced has its ten minutes, and more.
    assert 2 * Settings().live_seconds < LIFETIME - KEPT_SECONDS


def test_twilio_gives_one_url_a_server_under_an_older_name_too(provider: Provider) -> None:
    servers = [{"url": url, "urls": url, **SECRET} for url in URLS]
    provider.answer = {"ice_servers": servers, "ttl": str(LIFETIME)}
    assert [server["urls"] for server in ice_servers(TWILIO)] == [[url] for url in URLS[:0:-1]] + [
        URLS[:1]
    ]
    (method, path, authorization, body) = provider.asked[0]
    assert (method, path, body) == ("POST", "/Accounts/AC1/Tokens.json", f"Ttl={LIFETIME}")
    assert base64.b64decode(authorization.removeprefix("Basic ")) == b"AC1:token"


@pytest.mark.parametrize("wrapped", [True, False])
def test_hugging_face_gives_one_server_bare_or_wrapped(provider: Provider, wrapped: bool) -> None:
    server = {"urls": URLS, **SECRET}
    provider.answer = {"iceServers": server} if wrapped else server
    assert ice_servers(HUGGING_FACE) == best_first([server])
    assert provider.asked[0][:3] == ("GET", f"/hf?ttl={LIFETIME}", "Bearer token")


def test_the_url_that_firewalls_let_through_stands_first() -> None:
    servers = best_first([{"urls": STUN}, {"urls": URLS, **SECRET, "ttl": 5}])
    assert servers == [{"urls": URLS[::-1], **SECRET}, {"urls": [STUN]}]


def test_without_a_provider_there_is_stun_and_a_list_of_ones_own_stands_for_all() -> None:
    assert ice_servers({}) == ice_servers({"FER_ICE_SERVERS": " "}) == [{"urls": [STUN]}]
    own = [{"urls": ["turn:mine"], **SECRET}]
    assert ice_servers({**CLOUDFLARE, "FER_ICE_SERVERS": json.dumps(own)}) == own


@pytest.mark.parametrize(
    "own",
    ["stun:secret", "5", "null", '"turn:secret"', '{"urls": "turn:secret"}', '["turn:secret"]',
     '[{"url": "turn:secret"}]', '[{"urls": ["turn:secret", 5]}]', '[{"urls": []}]'],
)  # fmt: skip
def test_a_list_of_ones_own_that_is_none_is_a_bad_setting_and_not_repeated(own: str) -> None:
    with pytest.raises(BadSetting, match=r"^FER_ICE_SERVERS must be a JSON list") as raised:
        ice_servers({**CLOUDFLARE, "FER_ICE_SERVERS": own})
    assert "secret" not in str(raised.value)


def test_a_list_of_ones_own_may_be_empty() -> None:
    assert ice_servers({**CLOUDFLARE, "FER_ICE_SERVERS": "[]"}) == []


@pytest.mark.parametrize("environment", [CLOUDFLARE, TWILIO, HUGGING_FACE])
@pytest.mark.parametrize(
    ("status", "answer"),
    [(401, {}), (500, b""), (200, b"<html>"), (200, {"error": 1}), (200, []), (200, [[1]])],
)
def test_a_provider_that_refuses_or_says_nonsense_is_one_error(
    provider: Provider, environment: dict[str, str], status: int, answer: Any
) -> None:
    provider.status, provider.answer = status, answer
    with pytest.raises(ConnectionError, match="could not be asked"):
        ice_servers(environment)


def test_a_token_is_not_sent_to_where_an_answer_points(provider: Provider) -> None:
    provider.status, provider.headers = 302, {"Location": f"{provider.url}/elsewhere"}
    with pytest.raises(ConnectionError):
        ice_servers(HUGGING_FACE)
    assert len(provider.asked) == 1


def test_a_provider_that_is_silent_is_given_up(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "TIMEOUT", 0.2)
    provider.headers = {"Content-Length": "1000"}  # promised, and never sent
    with pytest.raises(ConnectionError):
        ice_servers(HUGGING_FACE)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """What Streamlit's caches take for the time, seconds."""
    now = [0.0]
    monkeypatch.setattr(cache_utils, "TTLCACHE_TIMER", lambda: now[0])
    st.cache_data.clear()  # a cache asks the clock that there was when it was made
    yield now
    st.cache_data.clear()


def test_credentials_are_kept_then_fetched_again_and_a_failure_is_never_kept(
    provider: Provider, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FER_ICE_SERVERS", raising=False)
    for name in (*CLOUDFLARE, *TWILIO):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN", "token")
    provider.status = 500
    for _ in range(2):
        with pytest.raises(ConnectionError):
            live_shared.relays()
    provider.status = 200
    for expected, at in (("first", 0), ("first", KEPT_SECONDS - 1), ("second", KEPT_SECONDS + 1)):
        provider.answer = {"urls": URLS, "username": expected if at == 0 else "second"}
        clock[0] = at
        assert live_shared.relays()[0]["username"] == expected
    assert len(provider.asked) == 4
