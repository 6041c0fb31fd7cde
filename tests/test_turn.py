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

from fer_demo.errors import BadSetting
from fer_demo.live import turn
from fer_demo.live.turn import (
    KEPT_SECONDS,
    RETRY_SECONDS,
    SPARE_SECONDS,
    STUN,
    Relays,
    Server,
    best_first,
    ice_servers,
)
from fer_demo.settings import MOST_LIVE_SECONDS

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
HUGGING_FACE = {"HF_TOKEN": "token", "SPACE_HOST": "me-fer.hf.space"}

SECONDS = 3000
"""That a stream may run."""


def ask(environment: dict[str, str]) -> list[Server]:
    return ice_servers(environment, SECONDS)


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
    assert ask(CLOUDFLARE) == best_first([{"urls": URLS, **SECRET}])
    (method, path, authorization, body) = provider.asked[0]
    assert (method, authorization) == ("POST", "Bearer token")
    assert path == "/keys/a%2Fkey/credentials/generate-ice-servers"
    # A stream that starts with credentials about to be replaced has all its time, and more.
    assert KEPT_SECONDS + SECONDS < json.loads(body)["ttl"] < 2 * (KEPT_SECONDS + SECONDS)


def test_twilio_gives_one_url_a_server_under_an_older_name_too(provider: Provider) -> None:
    servers = [{"url": url, "urls": url, **SECRET} for url in URLS]
    provider.answer = {"ice_servers": servers, "ttl": "100"}
    assert [server["urls"] for server in ask(TWILIO)] == [[url] for url in URLS[:0:-1]] + [URLS[:1]]
    (method, path, authorization, body) = provider.asked[0]
    assert (method, path) == ("POST", "/Accounts/AC1/Tokens.json")
    assert int(body.removeprefix("Ttl=")) > KEPT_SECONDS + SECONDS
    assert base64.b64decode(authorization.removeprefix("Basic ")) == b"AC1:token"


@pytest.mark.parametrize("wrapped", [True, False])
def test_hugging_face_gives_one_server_bare_or_wrapped(provider: Provider, wrapped: bool) -> None:
    server = {"urls": URLS, **SECRET}
    provider.answer = {"iceServers": server} if wrapped else server
    assert ask(HUGGING_FACE) == best_first([server])
    (method, path, authorization, _) = provider.asked[0]
    assert (method, authorization) == ("GET", "Bearer token")
    assert int(path.removeprefix("/hf?ttl=")) > KEPT_SECONDS + SECONDS


def test_a_token_that_is_there_for_other_things_is_sent_to_nobody(provider: Provider) -> None:
    provider.answer = {"urls": URLS, **SECRET}
    assert ask({"HF_TOKEN": "token"}) == [{"urls": [STUN]}]
    assert provider.asked == []
    assert ask({"HF_TOKEN": "token", "FER_FASTRTC_TOKEN": "for this"}) == best_first(
        [provider.answer]
    )
    assert provider.asked[0][2] == "Bearer for this"


def test_the_url_that_firewalls_let_through_stands_first() -> None:
    servers = best_first([{"urls": STUN}, {"urls": URLS, **SECRET, "ttl": 5}])
    assert servers == [{"urls": URLS[::-1], **SECRET}, {"urls": [STUN]}]


def test_without_a_provider_there_is_stun_and_a_list_of_ones_own_stands_for_all() -> None:
    assert ask({}) == ask({"FER_ICE_SERVERS": " "}) == [{"urls": [STUN]}]
    own = [{"urls": ["turn:mine"], **SECRET}]
    assert ask({**CLOUDFLARE, "FER_ICE_SERVERS": json.dumps(own)}) == own


@pytest.mark.parametrize(
    "own",
    ["stun:secret", "5", "null", '"turn:secret"', '{"urls": "turn:secret"}', '["turn:secret"]',
     '[{"url": "turn:secret"}]', '[{"urls": ["turn:secret", 5]}]', '[{"urls": []}]'],
)  # fmt: skip
def test_a_list_of_ones_own_that_is_none_is_a_bad_setting_and_not_repeated(own: str) -> None:
    with pytest.raises(BadSetting, match=r"^FER_ICE_SERVERS must be a JSON list") as raised:
        ask({**CLOUDFLARE, "FER_ICE_SERVERS": own})
    assert "secret" not in str(raised.value)


def test_a_list_of_ones_own_may_be_empty() -> None:
    assert ask({**CLOUDFLARE, "FER_ICE_SERVERS": "[]"}) == []


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
        ask(environment)


def test_a_token_is_not_sent_to_where_an_answer_points(provider: Provider) -> None:
    provider.status, provider.headers = 302, {"Location": f"{provider.url}/elsewhere"}
    with pytest.raises(ConnectionError):
        ask(HUGGING_FACE)
    assert len(provider.asked) == 1


def test_a_provider_that_is_silent_is_given_up(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "TIMEOUT", 0.2)
    provider.headers = {"Content-Length": "1000"}  # promised, and never sent
    with pytest.raises(ConnectionError):
        ask(HUGGING_FACE)


def test_an_answer_that_is_no_http_is_a_provider_that_failed(provider: Provider) -> None:
    provider.answer, provider.headers = [], {"Content-Length": "0", "Transfer-Encoding": "chunked"}
    with pytest.raises(ConnectionError):  # no chunk comes
        ask(HUGGING_FACE)


def test_nobody_asks_for_a_longer_life_than_a_day_which_providers_give(provider: Provider) -> None:
    provider.answer = {"urls": URLS, **SECRET}
    ice_servers(HUGGING_FACE, MOST_LIVE_SECONDS)
    assert int(provider.asked[0][1].removeprefix("/hf?ttl=")) <= 24 * 3600


def test_credentials_that_still_outlive_a_stream_stay_where_there_are_no_others(
    provider: Provider,
) -> None:
    now = [0.0]
    relays = Relays(lambda: ask(HUGGING_FACE), lambda: now[0])
    provider.answer = {"urls": URLS, **SECRET}
    first = relays.servers()
    provider.status = 500
    for at in (KEPT_SECONDS, KEPT_SECONDS + 1, KEPT_SECONDS + SPARE_SECONDS - 1):
        now[0] = at
        assert relays.servers() == first
    assert len(provider.asked) == 3, "whoever asks within a minute of a failure waits for nobody"
    now[0] = KEPT_SECONDS + SPARE_SECONDS
    with pytest.raises(ConnectionError):
        relays.servers()


def test_credentials_are_kept_then_fetched_again_and_a_failure_for_a_minute(
    provider: Provider,
) -> None:
    now = [0.0]
    relays = Relays(lambda: ask(HUGGING_FACE), lambda: now[0])
    provider.status = 500
    for at in (0.0, 0.0, RETRY_SECONDS - 1, RETRY_SECONDS):
        now[0] = at
        with pytest.raises(ConnectionError):
            relays.servers()
    assert len(provider.asked) == 2, "in between nobody waits for a provider that is silent"
    provider.status, began = 200, 2 * RETRY_SECONDS
    for after, expected in ((0, "first"), (KEPT_SECONDS - 1, "first"), (KEPT_SECONDS, "second")):
        provider.answer = {"urls": URLS, "username": "second" if after else "first"}
        now[0] = began + after
        assert relays.servers()[0]["username"] == expected
    assert len(provider.asked) == 4
