"""A visitor of the Photo page without a browser: Streamlit's own protocol over real sockets."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import uuid
from base64 import b64decode
from collections.abc import Callable, Iterator
from types import TracebackType
from urllib.parse import urlsplit

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

PATIENCE = 120.0


class Session:
    """One browser tab; use it as an asynchronous context."""

    def __init__(self, url: str, query: str = ""):
        self.host = urlsplit(url).netloc
        self.query = query
        self.id = ""
        self.cookie = ""
        self.seen: dict[str, bytes] = {}
        """Every media file that this tab was shown, by its address."""
        self._elements: dict[tuple[int, ...], Element] = {}
        self._cache: dict[str, ForwardMsg] = {}
        self._answers: dict[str, ForwardMsg] = {}
        self._files: list[tuple[str, int, FileURLs]] = []
        self._uploader = ""
        self.finished = 0
        """Runs of the page that came to their end."""
        self._news = asyncio.Event()

    async def __aenter__(self) -> Session:
        response, _ = await asyncio.to_thread(self.http, "GET", "/_stcore/health")
        found = re.search(r"_streamlit_xsrf=([^;]+)", response.getheader("Set-Cookie") or "")
        assert found, "the server sets no XSRF cookie"
        self.cookie = found[1]
        self._socket = await websockets.connect(
            f"ws://{self.host}/_stcore/stream",
            subprotocols=[websockets.Subprotocol("streamlit")],
            max_size=None,
        )
        self._reading = asyncio.create_task(self._read())
        await self.run()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reading.cancel()
        await self._socket.close()

    def drop(self) -> None:
        """End as a killed tab does."""
        self._reading.cancel()
        self._socket.transport.abort()

    # --- what a person does -----------------------------------------------------------------------

    async def upload(self, *files: tuple[str, bytes]) -> None:
        """Choose files (name and content) and wait for the page."""
        await self.put(*files)
        await self.run()

    async def put(self, *files: tuple[str, bytes]) -> None:
        """Send files (name and content) and do not tell the page yet."""
        request = BackMsg()
        request.file_urls_request.request_id = name = uuid.uuid4().hex
        request.file_urls_request.session_id = self.id
        request.file_urls_request.file_names.extend(name for name, _ in files)
        answer = (await self._ask(request, name)).file_urls_response
        if self._widget("file_uploader").id != self._uploader:  # "Clear" makes a new one
            self._uploader = self._widget("file_uploader").id
            self._files.clear()
        for (name, data), urls in zip(files, answer.file_urls, strict=True):
            response, _ = await asyncio.to_thread(self.put_file, urls.upload_url, name, data)
            assert response.status == 204, response.status
            self._files.append((name, len(data), urls))

    async def click(self, words: str) -> None:
        """Press the button that holds these words, and wait for the page."""
        (button,) = [e.button for e in self.of("button") if words in e.button.label]
        await self.run(pressed=button.id)

    async def download(self, label: str) -> bytes:
        """What the download button of this label gives."""
        return await self.fetch(await self.made(label))

    async def made(self, label: str) -> str:
        """Where the file lies that the server makes for a press of this download button."""
        (button,) = [
            e.download_button
            for e in self.of("download_button")
            if e.download_button.label == label
        ]
        request = BackMsg()
        operation = request.backend_operation_request
        operation.request_id, operation.session_id = uuid.uuid4().hex, self.id
        operation.deferred_file.file_id = button.deferred_file_id
        answer = (await self._ask(request, operation.request_id)).backend_operation_response
        assert not answer.error_msg, answer.error_msg
        return answer.deferred_file.url

    async def run(self, pressed: str = "") -> None:
        """Run the page and wait for its end."""
        await self.start(pressed)
        before = self.finished
        await self.until(lambda: self.finished > before)

    async def start(self, pressed: str = "") -> None:
        """Have the page run, and do not wait."""
        message = BackMsg()
        rerun = message.rerun_script
        rerun.query_string = self.query
        if self._files:
            state = rerun.widget_states.widgets.add()
            state.id = self._uploader
            for name, size, urls in self._files:
                info = state.file_uploader_state_value.uploaded_file_info.add()
                info.name, info.size, info.file_id = name, size, urls.file_id
                info.file_urls.CopyFrom(urls)
        if pressed:
            state = rerun.widget_states.widgets.add()
            state.id, state.trigger_value = pressed, True
        await self._socket.send(message.SerializeToString())

    # --- what is on the page ----------------------------------------------------------------------

    def of(self, kind: str) -> list[Element]:
        """The elements of a kind, from top to bottom."""
        found = [(p, e) for p, e in self._elements.items() if e.WhichOneof("type") == kind]
        return [element for _, element in sorted(found, key=lambda pair: pair[0])]

    def words(self) -> str:
        """All text of the page."""
        return "\n".join(
            [e.text.body for e in self.of("text")]
            + [e.markdown.body for e in self.of("markdown")]
            + [e.alert.body for e in self.of("alert")]
        )

    def faces(self) -> int:
        """Cards of faces on the page."""
        return sum("#####" in e.markdown.body for e in self.of("markdown"))

    def media(self) -> Iterator[str]:
        """Addresses of all pictures on the page."""
        for element in self.of("imgs"):
            yield from (picture.url for picture in element.imgs.imgs)

    async def look(self) -> dict[str, bytes]:
        """Fetch every picture that is on the page; what has been seen is kept in `seen`."""
        shown = {}
        for address in self.media():
            if address.startswith("/media/"):
                shown[address] = await self.fetch(address)
        self.seen |= shown
        return shown

    def drawn(self) -> list[bytes]:
        """The pictures inside charts: the one on which a box is dragged."""
        specs = [json.loads(element.plotly_chart.spec) for element in self.of("plotly_chart")]
        sources = [one["source"] for spec in specs for one in spec["layout"].get("images", ())]
        return [b64decode(source.partition("base64,")[2]) for source in sources]

    def _widget(self, kind: str) -> Element:
        (element,) = self.of(kind)
        return getattr(element, kind)

    # --- the wire ---------------------------------------------------------------------------------

    def http(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def put_file(
        self, path: str, name: str, data: bytes, token: str | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Upload to an address that the server gave.

        Args:
            token: beside the cookie; the page's own where None.
        """
        headers = {
            "Content-Type": "multipart/form-data; boundary=cut",
            "Cookie": f"_streamlit_xsrf={self.cookie}",
            "X-Xsrftoken": self.cookie if token is None else token,
        }
        return self.http("PUT", path, multipart(name, data), headers)

    async def fetch(self, path: str) -> bytes:
        """The body of a page or file.

        Raises:
            FileNotFoundError: the server has it no longer.
        """
        response, body = await asyncio.to_thread(self.http, "GET", path)
        if response.status != 200:
            raise FileNotFoundError(f"{response.status} for {path}")
        return body

    async def until(self, holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait for something that a message brings."""
        async with asyncio.timeout(seconds):
            while not holds():
                if self._reading.done():
                    self._reading.result()
                    raise ConnectionError("The server closed the connection.")
                self._news.clear()
                await self._news.wait()

    async def _ask(self, request: BackMsg, key: str) -> ForwardMsg:
        await self._socket.send(request.SerializeToString())
        await self.until(lambda: key in self._answers)
        return self._answers.pop(key)

    async def _read(self) -> None:
        try:
            async for data in self._socket:
                message = ForwardMsg()
                message.ParseFromString(data if isinstance(data, bytes) else data.encode())
                if message.WhichOneof("type") == "ref_hash":
                    cached = self._cache[message.ref_hash]
                    cached.metadata.CopyFrom(message.metadata)
                    message = cached
                elif message.metadata.cacheable:
                    self._cache[message.hash] = message
                self._take(message)
                self._news.set()
        finally:
            self._news.set()

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.id = message.new_session.initialize.session_id
            self._elements.clear()
        elif kind == "script_finished":
            self.finished += message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
        elif kind == "file_urls_response":
            self._answers[message.file_urls_response.response_id] = message
        elif kind == "backend_operation_response":
            self._answers[message.backend_operation_response.request_id] = message
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            place = tuple(message.metadata.delta_path)
            self._elements[place] = message.delta.new_element


def multipart(name: str, data: bytes) -> bytes:
    """A form of one file, with the boundary "cut"; names are escaped as browsers do."""
    for character, escaped in (('"', "%22"), ("\r", "%0D"), ("\n", "%0A")):
        name = name.replace(character, escaped)
    head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
    return b"--cut\r\n" + head.encode() + b"\r\n" + data + b"\r\n--cut--\r\n"
