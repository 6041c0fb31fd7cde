"""Servers that help a browser and this server find each other: STUN, and TURN from a provider.

A STUN server tells each side its public address; where firewalls stand between them only a TURN
server, which passes the video on, gets through. Its credentials expire, so they are fetched again.
"""

from __future__ import annotations

import base64
import json
import math
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any

from fer_demo.errors import BadSetting

STUN = "stun:stun.l.google.com:19302"
CLOUDFLARE = "https://rtc.live.cloudflare.com/v1/turn/keys"
TWILIO = "https://api.twilio.com/2010-04-01/Accounts"
FASTRTC = "https://turn.fastrtc.org/credentials"

KEPT_SECONDS = 1800
"""How long credentials are used for new streams before others are fetched."""

SPARE_SECONDS = 600
"""That credentials are valid beyond the end of the stream that starts with them last."""

RETRY_SECONDS = 60.0
"""A provider that failed is not asked again for so long: each time may cost `TIMEOUT`."""

TIMEOUT = 5.0

Server = dict[str, Any]
"""An RTCIceServer: urls, username, credential."""


class Relays:
    """The servers for new streams, asked for again before they expire; safe to share.

    Who asks while a provider is silent waits for one answer, whoever asks after that for none.

    Args:
        ask: `ice_servers` of an environment.
        clock: seconds.
    """

    def __init__(
        self, ask: Callable[[], list[Server]], clock: Callable[[], float] = time.monotonic
    ):
        self._ask, self._clock = ask, clock
        self._lock = threading.Lock()
        self._servers: list[Server] = []
        self._until = self._silent_until = float("-inf")

    def servers(self) -> list[Server]:
        """See `ice_servers`, for what it raises too."""
        with self._lock:
            if self._clock() < self._until:
                return self._servers
            try:
                if self._clock() < self._silent_until:
                    raise ConnectionError("The TURN provider could not be asked a moment ago.")
                self._servers = self._asked()
            except ConnectionError:
                if self._clock() < self._until + SPARE_SECONDS:
                    return self._servers  # they still outlive a stream that starts now
                raise
            self._until = self._clock() + KEPT_SECONDS
            return self._servers

    def _asked(self) -> list[Server]:
        try:
            return self._ask()
        except ConnectionError:
            self._silent_until = self._clock() + RETRY_SECONDS
            raise


def ice_servers(environment: Mapping[str, str], live_seconds: float) -> list[Server]:
    """The servers of the first provider that the environment names, else STUN alone.

    Cloudflare: CLOUDFLARE_TURN_KEY_ID and CLOUDFLARE_TURN_KEY_API_TOKEN. Twilio: TWILIO_ACCOUNT_SID
    and TWILIO_AUTH_TOKEN. FastRTC's, for a token of Hugging Face: FER_FASTRTC_TOKEN, or in a Space
    HF_TOKEN; elsewhere that one is often there for other things, and is sent to nobody.
    FER_ICE_SERVERS is a JSON list that stands for all of them; "[]" keeps to direct connections.

    Args:
        live_seconds: for which a stream may run: credentials are valid for longer.

    Raises:
        BadSetting: FER_ICE_SERVERS is not such a list.
        ConnectionError: the provider could not be asked or refused.
    """
    if own := environment.get("FER_ICE_SERVERS", "").strip():
        return _own(own)
    try:
        lifetime = math.ceil(KEPT_SECONDS + live_seconds + SPARE_SECONDS)
        found = _from_provider(environment, lifetime)
        servers = best_first(found if isinstance(found, list) else [found])
        if not servers:
            raise ValueError("no server has an address")
        return servers
    except (OSError, HTTPException, ValueError, LookupError, AttributeError, TypeError) as error:
        # Whatever a provider says that is not what it documents is a provider that failed.
        raise ConnectionError("The TURN provider could not be asked.") from error


def _own(text: str) -> list[Server]:
    try:
        servers = json.loads(text)
    except ValueError:
        servers = None
    if not isinstance(servers, list) or not all(map(_is_server, servers)):
        # What was written instead is not repeated: it may hold a password.
        raise BadSetting(
            'FER_ICE_SERVERS must be a JSON list of objects that have "urls", or [] for direct '
            "connections alone."
        )
    return servers


def _is_server(server: object) -> bool:
    urls = server.get("urls") if isinstance(server, dict) else None
    urls = [urls] if isinstance(urls, str) else urls
    return isinstance(urls, list) and bool(urls) and all(isinstance(u, str) and u for u in urls)


def _from_provider(environment: Mapping[str, str], lifetime: int) -> Any:
    get = environment.get
    if (key := get("CLOUDFLARE_TURN_KEY_ID")) and (token := get("CLOUDFLARE_TURN_KEY_API_TOKEN")):
        url = f"{CLOUDFLARE}/{urllib.parse.quote(key, safe='')}/credentials/generate-ice-servers"
        return _ask(url, f"Bearer {token}", json.dumps({"ttl": lifetime}).encode())["iceServers"]
    if (sid := get("TWILIO_ACCOUNT_SID")) and (token := get("TWILIO_AUTH_TOKEN")):
        basic = base64.b64encode(f"{sid}:{token}".encode()).decode()
        url = f"{TWILIO}/{urllib.parse.quote(sid, safe='')}/Tokens.json"
        return _ask(url, f"Basic {basic}", f"Ttl={lifetime}".encode())["ice_servers"]
    if token := get("FER_FASTRTC_TOKEN") or (get("SPACE_HOST") and get("HF_TOKEN")):
        answer = _ask(f"{FASTRTC}?ttl={lifetime}", f"Bearer {token}")
        return answer.get("iceServers", answer)
    return [{"urls": [STUN]}]


def best_first(servers: list[Server]) -> list[Server]:
    """The servers that have a URL, each with the one first that firewalls let through.

    aiortc uses only the first STUN and the first TURN URL that it meets, and hosts often allow
    nothing but TCP to port 443.
    """
    tidy: list[Server] = []
    for server in servers:
        urls = server.get("urls") or server.get("url") or []
        urls = [urls] if isinstance(urls, str) else list(urls)
        kept = {k: server[k] for k in ("username", "credential") if server.get(k)}
        if urls:  # a browser refuses the whole list for one without
            tidy.append({"urls": sorted(urls, key=_reach), **kept})
    return sorted(tidy, key=lambda server: _reach(server["urls"][0]))


def _reach(url: str) -> int:
    is_turn, is_tls = url.startswith(("turn:", "turns:")), url.startswith("turns:")
    if not is_turn:
        return 4
    on_443, over_tcp = ":443" in url, "transport=tcp" in url
    return 0 if on_443 and is_tls else 1 if on_443 and over_tcp else 2 if over_tcp else 3


def _ask(url: str, authorization: str, data: bytes | None = None) -> Any:
    headers = {"Authorization": authorization, "User-Agent": "fer-demo"}
    if data is not None:
        form = "application/json" if data[:1] == b"{" else "application/x-www-form-urlencoded"
        headers["Content-Type"] = form
    request = urllib.request.Request(url, data, headers)  # noqa: S310 (https, from this file)
    with _OPENER.open(request, timeout=TIMEOUT) as response:
        return json.loads(response.read(100_000))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib would send the token along to wherever an answer points."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)
