"""The real server, to which nothing on the machine is writable."""

from __future__ import annotations

import asyncio
import csv
import http.client
import json
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from io import BytesIO, StringIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from tests.conftest import require
from tests.hostile.corpus import NAMES, encode, face
from tests.hostile.test_faces import crowd
from tests.load import isolation
from tests.load.session import Session, multipart
from tests.server import Memory, can_lock, serve

Server = tuple[str, "subprocess.Popen[bytes]", Path]


@pytest.fixture(scope="module")
def server(yunet_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Address, process, log."""
    require(can_lock(), "a namespace of its own cannot be had, so nothing can be made read-only")
    folder = tmp_path_factory.mktemp("server")
    # A temporary folder that is not there, and a home in which nothing can be written.
    with serve(folder, yunet_file, locked=True, TMPDIR=str(folder / "none")) as (url, process):
        yield url, process, folder / "server.log"


def big_photo() -> bytes:
    """A face and noise: more than 9 MB of PNG."""
    noise = np.random.default_rng(0).integers(0, 256, (1950, 1950, 3), np.uint8)
    noise[400:1300, 400:1300] = face(900)
    return encode(noise, "PNG", compress_level=1)


def test_without_a_writable_place_a_large_upload_is_analysed(server: Server) -> None:
    url, _, log = server
    data = big_photo()
    assert len(data) > 9_000_000

    async def story() -> None:
        async with Session(url) as visitor:
            await visitor.upload(("user-holiday.png", data))
            assert visitor.faces() == 1
            assert len(await visitor.look()) >= 2

    asyncio.run(story())
    assert "Traceback" not in log.read_text()


def status(session: Session, size: int, token: str | None = None) -> int:
    path = f"/_stcore/upload_file/{session.id}/some-file"
    response, _ = session.put_file(path, "a.jpg", bytes(size), token)
    return response.status


def test_uploads_that_are_too_large_or_not_asked_for_are_refused(server: Server) -> None:
    url, process, _ = server

    async def story() -> None:
        async with Session(url) as visitor:
            memory = Memory(process)
            assert status(visitor, 21_000_000) == 413
            assert memory.peak() < 5  # refused by its length, before a byte was read
            assert status(visitor, 1000, token="") == 403
            assert status(visitor, 1000, token=visitor.cookie[::-1]) == 403
            assert status(visitor, 1000) == 204
            stranger, visitor.id = visitor.id, "00000000-0000-0000-0000-000000000000"
            assert status(visitor, 1000) == 400
            visitor.id = stranger

    asyncio.run(story())


def begin_endless(session: Session, url: str) -> http.client.HTTPConnection:
    """An upload without a length, of which nothing is sent but its beginning."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    connection.putrequest("PUT", f"/_stcore/upload_file/{session.id}/endless")
    for name, value in {
        "Content-Type": "multipart/form-data; boundary=cut",
        "Transfer-Encoding": "chunked",
        "X-Xsrftoken": session.cookie,
        "Cookie": f"_streamlit_xsrf={session.cookie}",
    }.items():
        connection.putheader(name, value)
    connection.endheaders()
    start = multipart("a.jpg", b"").removesuffix(b"\r\n--cut--\r\n")
    connection.send(b"%x\r\n%s\r\n" % (len(start), start))
    return connection


def endless(session: Session, url: str, megabytes: int = 1000) -> tuple[int, int]:
    """Status of an upload without a length, and how many MB of it were sent."""
    connection = begin_endless(session, url)
    piece = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    sent = 0
    try:
        while sent < megabytes and not select.select([connection.sock], [], [], 0)[0]:
            connection.send(piece)
            sent += 1
    except OSError:  # it was closed; the answer lies there to be read
        pass
    answer = connection.getresponse().status
    connection.close()
    return answer, sent


def test_an_upload_without_end_is_stopped_and_costs_little(server: Server) -> None:
    url, process, _ = server

    async def story() -> None:
        async with Session(url) as visitor:
            memory = Memory(process)
            assert (await asyncio.to_thread(endless, visitor, url))[0] == 413
            assert memory.peak() < 40  # up to 20 MB it might be a photo; buffers come for the first
            memory = Memory(process)
            for _ in range(3):
                answer, sent = await asyncio.to_thread(endless, visitor, url)
                assert answer == 413
                assert sent < 100
            print(f"stopped after {sent} MB, +{memory.peak():.0f} MB")
            assert memory.peak() < 24  # those that might be a photo are held, no more

    asyncio.run(story())


def test_nobody_sees_anything_of_anybody_else(server: Server) -> None:
    url, _, log = server
    found = asyncio.run(isolation.run(url, users=5, photos=2, seed=7))
    assert found.photos == 10
    assert found.errors > 0
    assert found.pictures > 40
    assert found.marked > 0
    assert found.own > 100_000
    assert found.foreign == 0
    assert "Traceback" not in log.read_text()


def test_the_search_for_foreign_pixels_finds_them() -> None:
    photos = [isolation.marked_photo(user, 3) for user in range(len(isolation.MARKS))]
    for user, photo in enumerate(photos):
        counts = [isolation.pixels_of(other, photo) for other in range(len(photos))]
        assert counts[user] > 50_000
        assert sum(counts) == counts[user]


@pytest.mark.parametrize("names", [NAMES[:20], NAMES[20:]], ids=["first", "last"])
def test_hostile_names_are_text_on_the_page_and_numbers_in_archives(
    server: Server, names: tuple[str, ...]
) -> None:
    """Of pictures that are analysed; also names that no browser would send."""
    url, _, log = server
    photos = [(name, encode(np.roll(face(160), k, 1), "PNG")) for k, name in enumerate(names)]

    async def story() -> None:
        async with Session(url) as visitor:
            await visitor.upload(*photos)
            alternatives = [image.alt for e in visitor.of("imgs") for image in e.imgs.imgs]
            assert sum(alt.startswith("Picture ") for alt in alternatives) == len(names)
            assert all(alt.isprintable() for alt in alternatives)
            assert not visitor.of("exception")
            table = (await visitor.download("CSV")).decode("utf-8-sig")
            rows = list(csv.DictReader(StringIO(table)))
            records = json.loads(await visitor.download("JSON"))
            with ZipFile(BytesIO(await visitor.download("ZIP of everything"))) as archive:
                members = archive.namelist()
            markup = "\n".join(e.markdown.body for e in visitor.of("markdown"))
        assert len(records) == len(names)
        assert len({row["image"] for row in rows}) > len(names) // 2
        for row in rows:
            assert row["image"].isprintable()
            assert not row["image"].startswith(("=", "+", "-", "@"))
        numbered = r"faces\.(csv|json)|picture-\d{3}/(annotated|face-\d{3})\.png"
        assert all(re.fullmatch(numbered, member) for member in members)
        for sign in ("onerror", "![x]", "javascript:", "$x^2$", ":red[red]", "{{7*7}}", "DROP"):
            assert sign not in markup, sign

    asyncio.run(story())
    assert "Traceback" not in log.read_text()


def test_the_log_tells_of_work_and_of_nobody(server: Server) -> None:
    url, _, log = server
    photo = encode(face(200), "PNG")

    async def story() -> None:
        async with Session(url) as visitor:
            await visitor.upload(("anna-in-rome.png", photo), ("anna-broken.png", photo[:3000]))
            assert "anna-broken.png was not read" in visitor.words()

    asyncio.run(story())
    text = log.read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert {line["event"] for line in lines} == {"photo", "analysis"}
    assert {line["error"] for line in lines} == {"BadImage", None}
    assert "anna" not in text


def test_the_process_ends_in_the_middle_of_a_photo_and_of_an_upload(server: Server) -> None:
    url, process, log = server

    async def story() -> float:
        visitor = await Session(url).__aenter__()
        await visitor.upload(("first.png", encode(face(200), "PNG")))  # everything is loaded
        await visitor.put(("crowd.png", encode(crowd(200), "PNG")))
        await visitor.start()
        stalled = begin_endless(visitor, url)
        await asyncio.sleep(0.3)
        start = time.monotonic()
        process.terminate()
        await asyncio.to_thread(process.wait, 60)
        took = time.monotonic() - start
        visitor.drop()
        stalled.close()
        return took

    assert asyncio.run(story()) < 30  # the upload alone would last longer
    assert process.returncode in (0, -signal.SIGTERM)  # an abort has another
    told = log.read_text()  # uvicorn tells of the upload that it cut off, nobody of the photo
    assert "fer_demo" not in told
    assert "Fatal Python error" not in told
