"""Servers that help a browser and this server find each other: STUN, and TURN from a provider.

A STUN server tells each side its public address; where firewalls stand between them only a TURN
server, which passes the video on, gets through. Its credentials expire, so they are fetched again.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

STUN = "stun:stun.l.google.com:19302"
LIFETIME = 7200
"""Seconds for which credentials are asked: four times as long as a page keeps them."""

TIMEOUT = 5.0

Server = dict[str, Any]
"""An RTCIceServer: urls, username, credential."""


def ice_servers(environment: Mapping[str, str]) -> list[Server]:
    """The servers of the first provider that the environment names, else STUN alone.

    Cloudflare: CLOUDFLARE_TURN_KEY_ID and CLOUDFLARE_TURN_KEY_API_TOKEN. Twilio: TWILIO_ACCOUNT_SID
    and TWILIO_AUTH_TOKEN. Hugging Face (FastRTC's): HF_TOKEN. FER_ICE_SERVERS is a JSON list that
    stands for all of them; "[]" keeps to direct connections.

    Raises:
        ConnectionError: the provider could not be asked or refused.
    """
    get = environment.get
    if (own := get("FER_ICE_SERVERS")) is not None:
        return list(json.loads(own))
    if (key := get("CLOUDFLARE_TURN_KEY_ID")) and (token := get("CLOUDFLARE_TURN_KEY_API_TOKEN")):
        base = "https://rtc.live.cloudflare.com/v1/turn/keys/"
        url = f"{base}{urllib.parse.quote(key, safe='')}/credentials/generate-ice-servers"
        found = _ask(url, f"Bearer {token}", json.dumps({"ttl": LIFETIME}).encode())["iceServers"]
    elif (sid := get("TWILIO_ACCOUNT_SID")) and (token := get("TWILIO_AUTH_TOKEN")):
        base = "https://api.twilio.com/2010-04-01/Accounts/"
        basic = base64.b64encode(f"{sid}:{token}".encode()).decode()
        url = f"{base}{urllib.parse.quote(sid, safe='')}/Tokens.json"
        found = _ask(url, f"Basic {basic}", f"Ttl={LIFETIME}".encode())["ice_servers"]
    elif token := get("HF_TOKEN"):
        url = f"https://turn.fastrtc.org/credentials?ttl={LIFETIME}"
        answer = _ask(url, f"Bearer {token}")
        found = answer.get("iceServers", answer)
    else:
        return [{"urls": [STUN]}]
    return best_first(found if isinstance(found, list) else [found])


def best_first(servers: list[Server]) -> list[Server]:
    """The same servers, each with the URL first that firewalls let through.

    aiortc uses only the first STUN and the first TURN URL that it meets, and hosts often allow
    nothing but TCP to port 443.
    """
    tidy: list[Server] = []
    for server in servers:
        urls = server.get("urls") or server.get("url") or []
        urls = [urls] if isinstance(urls, str) else list(urls)
        kept = {k: server[k] for k in ("username", "credential") if server.get(k)}
        tidy.append({"urls": sorted(urls, key=_reach), **kept})
    return sorted(tidy, key=lambda server: min(map(_reach, server["urls"]), default=9))


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
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
            return json.loads(response.read(100_000))
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise ConnectionError("The TURN provider could not be asked.") from error
