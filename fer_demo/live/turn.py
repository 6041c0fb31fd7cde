"""Servers that help a browser and this server find each other: STUN, and TURN from a provider.

A STUN server tells each side its public address; where firewalls stand between them only a TURN
server, which passes the video on, gets through. Its credentials expire, so they are fetched again.
"""

from __future__ import annotations

import base64
import json
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from fer_demo.errors import BadSetting

STUN = "stun:stun.l.google.com:19302"
CLOUDFLARE = "https://rtc.live.cloudflare.com/v1/turn/keys"
TWILIO = "https://api.twilio.com/2010-04-01/Accounts"
FASTRTC = "https://turn.fastrtc.org/credentials"

KEPT_SECONDS = 1800
"""How long credentials are used for new streams before others are fetched."""

LIFETIME = 4 * KEPT_SECONDS
"""Seconds for which they are asked: a stream that starts last outlives its ten minutes."""

TIMEOUT = 5.0

Server = dict[str, Any]
"""An RTCIceServer: urls, username, credential."""


def ice_servers(environment: Mapping[str, str]) -> list[Server]:
    """The servers of the first provider that the environment names, else STUN alone.

    Cloudflare: CLOUDFLARE_TURN_KEY_ID and CLOUDFLARE_TURN_KEY_API_TOKEN. Twilio: TWILIO_ACCOUNT_SID
    and TWILIO_AUTH_TOKEN. Hugging Face (FastRTC's): HF_TOKEN. FER_ICE_SERVERS is a JSON list that
    stands for all of them; "[]" keeps to direct connections.

    Raises:
        BadSetting: FER_ICE_SERVERS is not such a list.
        ConnectionError: the provider could not be asked or refused.
    """
    if own := environment.get("FER_ICE_SERVERS", "").strip():
        return _own(own)
    try:
        found = _from_provider(environment)
        servers = best_first(found if isinstance(found, list) else [found])
        if not servers:
            raise ValueError("no server has an address")
        return servers
    except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
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


def _from_provider(environment: Mapping[str, str]) -> Any:
    get = environment.get
    if (key := get("CLOUDFLARE_TURN_KEY_ID")) and (token := get("CLOUDFLARE_TURN_KEY_API_TOKEN")):
        url = f"{CLOUDFLARE}/{urllib.parse.quote(key, safe='')}/credentials/generate-ice-servers"
        return _ask(url, f"Bearer {token}", json.dumps({"ttl": LIFETIME}).encode())["iceServers"]
    if (sid := get("TWILIO_ACCOUNT_SID")) and (token := get("TWILIO_AUTH_TOKEN")):
        basic = base64.b64encode(f"{sid}:{token}".encode()).decode()
        url = f"{TWILIO}/{urllib.parse.quote(sid, safe='')}/Tokens.json"
        return _ask(url, f"Basic {basic}", f"Ttl={LIFETIME}".encode())["ice_servers"]
    if token := get("HF_TOKEN"):
        answer = _ask(f"{FASTRTC}?ttl={LIFETIME}", f"Bearer {token}")
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
