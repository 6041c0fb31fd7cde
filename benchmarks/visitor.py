"""A visitor without a browser: speaks Streamlit's protocol, and WebRTC where it shows a camera.

What it measures is the real server over real sockets; only the pixels on a screen are missing.

    python -m benchmarks.visitor first URL MODEL    waits for the app, then for a prediction
    python -m benchmarks.visitor stream URL MODEL   one camera for 15 s
    python -m benchmarks.visitor two URL MODEL      two cameras at once for 15 s
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import websockets
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from fer_demo.bench.film import HEIGHT, WIDTH, frame

FILM_FRAMES = 45
LIVE = re.compile(r"\*\*Live:\*\* (\d+) frames/s, (\d+) ms delay")
"""What the status line of the Live page says while a stream runs."""

AT_REST: dict[str, Any] = {"playing": False, "sdpOffer": "", "iceCandidates": {}}
"""What the component of the Live page says before START and after STOP."""


class Film(VideoStreamTrack):
    """A camera: the film of `faces` moving faces, forth and back.

    Args:
        faces: side by side.
        rate: frames a second.
        width: of the video, px; fewer are less work for both sides.
    """

    def __init__(self, faces: int, rate: float = 15.0, width: int = WIDTH):
        super().__init__()
        self._rate = rate
        size = (width, width * HEIGHT // WIDTH)
        self.pictures = [
            np.asarray(cv2.resize(frame(faces, k / 15), size, interpolation=cv2.INTER_AREA))
            for k in range(FILM_FRAMES)
        ]
        """(H, W, 3) uint8 each, in their order."""
        self._frames = [
            VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
            for rgb in (*self.pictures, *self.pictures[::-1])
        ]
        self._began: float | None = None
        self._sent = 0

    async def recv(self) -> VideoFrame:
        """The next frame, when it is due."""
        if self._began is None:
            self._began = time.monotonic()
        self._sent += 1
        await asyncio.sleep(max(0.0, self._began + self._sent / self._rate - time.monotonic()))
        next_frame = self._frames[self._sent % len(self._frames)]
        next_frame.pts = round(90000 * self._sent / self._rate)
        next_frame.time_base = Fraction(1, 90000)
        return next_frame


class Visitor:
    """One browser session; use it as an asynchronous context."""

    def __init__(self, url: str, page: str = "", query: str = "", deaf: bool = False):
        self.url, self.page, self.query = url, page, query
        self._deaf = deaf  # never takes the answer, so that no connection comes about
        self.texts: dict[tuple[int, ...], str] = {}
        """The last text at each place of the page."""
        self.kinds: set[str] = set()
        """Kinds of elements that have been seen."""
        self.received = 0
        """Video frames that came back."""
        self.shown: VideoFrame | None = None
        """The last of them."""
        self._cache: dict[str, ForwardMsg] = {}
        self._component: tuple[str, dict[str, Any]] | None = None
        self._value = AT_REST
        self._page_hash = ""
        self._rerunning: dict[str, asyncio.Task[None]] = {}
        self.peer: RTCPeerConnection | None = None
        """The connection between START and STOP."""
        self._answered = False

    async def __aenter__(self) -> Visitor:
        address = self.url.replace("http", "ws", 1) + "/_stcore/stream"
        self._socket = await websockets.connect(
            address, subprotocols=[websockets.Subprotocol("streamlit")], max_size=None
        )
        self._reading = asyncio.create_task(self._read())
        await self._rerun()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def leave(self, politely: bool = True) -> None:
        """End everything; impolitely as a killed tab does, without a word to anybody."""
        for task in (*self._rerunning.values(), self._reading):
            task.cancel()
        if self.peer is not None:
            if not politely:
                for transceiver in self.peer.getTransceivers():
                    transceiver.sender.transport.transport._connection._protocols.clear()
            await self.peer.close()
        if politely:
            await self._socket.close()
        else:
            self._socket.transport.abort()

    async def until(self, holds: Callable[[], object], seconds: float = 60.0) -> float:
        """Wait until something holds; the seconds that it took.

        Raises:
            TimeoutError: it did not.
        """
        start = time.monotonic()
        while not holds():
            if self._reading.done():
                self._reading.result()
            if time.monotonic() - start > seconds:
                raise TimeoutError("It did not come.")
            await asyncio.sleep(0.02)
        return time.monotonic() - start

    def says(self, words: str) -> bool:
        """Whether a text on the page holds these words."""
        return any(words in text for text in self.texts.values())

    def rate_and_delay(self) -> tuple[float, float] | None:
        """What the status line of the Live page says: frames/s, and ms."""
        for text in self.texts.values():
            if found := LIVE.search(text):
                return float(found[1]), float(found[2])
        return None

    # --- the camera -----------------------------------------------------------------------------

    async def start(self, camera: VideoStreamTrack) -> None:
        """Press START."""
        await self.until(lambda: self._component)
        self._answered = False
        # Without servers: by itself it would ask one on the internet.
        self.peer = peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.addTransceiver(camera, direction="sendrecv")

        @peer.on("track")
        def on_track(track: Any) -> None:
            self._receiving = asyncio.create_task(self._receive(track))

        @peer.on("connectionstatechange")
        async def on_state() -> None:
            if peer.connectionState == "connected":
                await self._tell(playing=True, offer="")

        await peer.setLocalDescription(await peer.createOffer())
        offer = {"sdp": peer.localDescription.sdp, "type": peer.localDescription.type}
        await self._tell(playing=False, offer=offer)

    async def stop(self) -> None:
        """Press STOP."""
        await self._hang_up()
        await self._rerun()

    async def _hang_up(self) -> None:
        self._value = AT_REST
        if self.peer is not None:
            peer, self.peer = self.peer, None
            await peer.close()

    async def _receive(self, track: Any) -> None:
        try:
            while True:
                self.shown = await track.recv()
                self.received += 1
        except MediaStreamError:
            return

    async def _tell(self, playing: bool, offer: Any) -> None:
        self._value = AT_REST | {"playing": playing, "sdpOffer": offer}
        await self._rerun()

    # --- Streamlit's protocol -------------------------------------------------------------------

    async def _rerun(self, fragment: str = "") -> None:
        message = BackMsg()
        message.rerun_script.query_string = self.query
        message.rerun_script.page_script_hash = self._page_hash
        message.rerun_script.page_name = self.page
        if fragment:
            message.rerun_script.fragment_id = fragment
            message.rerun_script.is_auto_rerun = True
        if self._component is not None:
            state = message.rerun_script.widget_states.widgets.add()
            state.id, state.json_value = self._component[0], json.dumps(self._value)
        await self._socket.send(message.SerializeToString())

    async def _read(self) -> None:
        async for data in self._socket:
            message = ForwardMsg()
            message.ParseFromString(data if isinstance(data, bytes) else data.encode())
            if message.WhichOneof("type") == "ref_hash":
                message = self._cache.get(message.ref_hash, message)
            elif message.metadata.cacheable:
                self._cache[message.hash] = message
            await self._take(message)

    async def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            if not message.metadata.run.fragment_ids:  # a full run ends what repeats
                self._stop_rerunning()
        elif kind == "navigation":
            self._page_hash = message.navigation.page_script_hash
        elif kind == "auto_rerun":
            fragment, interval = message.auto_rerun.fragment_id, message.auto_rerun.interval
            if fragment not in self._rerunning:
                self._rerunning[fragment] = asyncio.create_task(self._every(interval, fragment))
        elif kind == "stop_auto_rerun":
            self._stop_rerunning()
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            element = message.delta.new_element
            name = element.WhichOneof("type") or ""
            self.kinds.add(name)
            if name == "markdown":
                self.texts[tuple(message.metadata.delta_path)] = element.markdown.body
            elif name == "component_instance":
                arguments = json.loads(element.component_instance.json_args)
                if self._component and self._component[0] != element.component_instance.id:
                    await self._hang_up()  # another one in its place knows nothing of it
                self._component = (element.component_instance.id, arguments)
                await self._follow(arguments)

    def _stop_rerunning(self) -> None:
        for task in self._rerunning.values():
            task.cancel()
        self._rerunning.clear()

    async def _every(self, interval: float, fragment: str) -> None:
        while True:
            await asyncio.sleep(interval)
            await self._rerun(fragment)

    async def _follow(self, arguments: dict[str, Any]) -> None:
        """What the component in the page would do: take the answer, stop when it is told to."""
        answer = arguments.get("sdp_answer_json")
        if answer and self.peer is not None and not self._answered and not self._deaf:
            self._answered = True
            await self.peer.setRemoteDescription(RTCSessionDescription(**json.loads(answer)))
        if arguments.get("desired_playing_state") is False and self.peer is not None:
            asyncio.get_running_loop().create_task(self.stop())


def wait_until_up(url: str, seconds: float = 120.0) -> None:
    """Until the health check answers.

    Raises:
        TimeoutError: it does not.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).read()  # noqa: S310
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("The app did not start.")


async def first_prediction(url: str, model: str) -> float:
    """When the chart of the first face came, s since the epoch."""
    async with Visitor(url, query=f"example=one&model={model}") as visitor:
        await visitor.until(lambda: "plotly_chart" in visitor.kinds, 120)
        return time.time()


async def stream(url: str, model: str, seconds: float = 15.0) -> float:
    """Frames that came back a second."""
    async with Visitor(url, page="live", query=f"live-model={model}") as visitor:
        await visitor.start(Film(1))
        await visitor.until(lambda: visitor.received > 5, 120)
        before, start = visitor.received, time.monotonic()
        await asyncio.sleep(seconds)
        rate = (visitor.received - before) / (time.monotonic() - start)
        await visitor.stop()
    return rate


async def two_streams(url: str, model: str, seconds: float = 15.0) -> tuple[float, float]:
    """Of two streams at once: analysed frames/s of the slower one, p95 delay of both in ms."""
    query = f"live-model={model}"
    async with Visitor(url, "live", query) as one, Visitor(url, "live", query) as other:
        visitors = one, other
        for visitor in visitors:
            await visitor.start(Film(1))
        for visitor in visitors:
            await visitor.until(lambda v=visitor: v.received > 5, 120)
        await asyncio.sleep(5)  # what is told is of the last three seconds
        said: dict[Visitor, list[tuple[float, float]]] = {visitor: [] for visitor in visitors}
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(1)
            for visitor in visitors:
                if status := visitor.rate_and_delay():
                    said[visitor].append(status)
        for visitor in visitors:
            await visitor.stop()
    return slower_and_late(list(said.values()))


def slower_and_late(said: Sequence[Sequence[tuple[float, float]]]) -> tuple[float, float]:
    """The least of the streams' median rates, and the 95th percentile of all their delays.

    Args:
        said: of each stream the rates and delays that its status line told.
    """
    rates = [float(np.median([rate for rate, _ in of])) for of in said]
    delays = [delay for of in said for _, delay in of]
    return min(rates), float(np.percentile(delays, 95))


def main() -> None:
    """Print "ready" once loaded, then what was measured."""
    what, url, model = sys.argv[1:]
    print("ready", flush=True)
    wait_until_up(url)
    if what == "two":
        print(*asyncio.run(two_streams(url, model)), flush=True)
        return
    visit = first_prediction if what == "first" else stream
    print(asyncio.run(visit(url, model)), flush=True)


if __name__ == "__main__":
    main()
