"""Users with watermarked photos at the same time; nobody may see a pixel of somebody else's.

Each user's photos hold areas of one colour that no other photo and no part of the page has. Those
areas are searched for in every picture of the page, in every download, and in all text.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from io import BytesIO
from zipfile import ZipFile

import numpy as np
from PIL import Image

from fer_demo.slots import SENTENCE
from tests.hostile.corpus import encode, face
from tests.load.session import Session

MARKS = [(red, 255 - red, blue) for red in (255, 0) for blue in (0, 60, 120, 180, 240)]
NEAR = 12
"""How far a colour may stray in a JPEG."""


def marked_photo(user: int, number: int) -> bytes:
    """A face before the user's colour, with two patches of it on the cheeks."""
    rng = np.random.default_rng([user, number])
    canvas = np.empty((360, 480, 3), np.uint8)
    canvas[:] = MARKS[user]
    top, left = rng.integers(20, 140), rng.integers(20, 260)
    head = face(200).copy()
    for x in (70, 112):
        head[108:120, x : x + 12] = MARKS[user]
    canvas[top : top + 200, left : left + 200] = head
    return encode(canvas, "PNG" if number % 2 else "JPEG")


def pixels_of(user: int, picture: bytes) -> int:
    """Pixels of a file that have the user's colour."""
    rgb = np.asarray(Image.open(BytesIO(picture)).convert("RGB")).astype(int)
    return int((np.abs(rgb - MARKS[user]).max(axis=2) <= NEAR).sum())


@dataclass
class Found:
    """What all users saw together."""

    photos: int = 0
    """Analysed, and seen on the page."""
    pictures: int = 0
    """Media files and pictures in downloads that were looked at."""
    own: int = 0
    """Pixels of the own colour."""
    foreign: int = 0
    """Pixels of another user's colour, and names of another user's files."""
    errors: int = 0
    """Broken files sent and tabs killed."""
    busy: int = 0
    """Times that somebody was asked to try again."""
    marked: int = 0
    """Times that a picture was opened for marking."""

    def check(self, user: int, users: int, picture: bytes) -> None:
        """Look for every other user's colour."""
        self.pictures += 1
        self.own += pixels_of(user, picture)
        self.foreign += sum(pixels_of(other, picture) for other in range(users) if other != user)

    def read(self, user: int, users: int, words: str) -> None:
        """Look for every other user's names."""
        self.foreign += sum(f"user{other}-" in words for other in range(users) if other != user)


async def run(url: str, users: int = 10, photos: int = 50, seed: int = 0) -> Found:
    """All users at once, each with so many photos."""
    found = Found()
    async with asyncio.TaskGroup() as group:
        for user in range(users):
            group.create_task(_visit(url, user, users, photos, found, random.Random(seed + user)))
    return found


async def _visit(
    url: str, user: int, users: int, photos: int, found: Found, dice: random.Random
) -> None:
    session = await Session(url, "opacity=0").__aenter__()
    on_page = 0
    for number in range(photos):
        if dice.random() < 0.15:  # a killed tab, in the middle of an analysis
            await session.put((f"user{user}-lost.jpg", marked_photo(user, 1000 + number)))
            await session.start()
            session.drop()
            session, on_page = await Session(url, "opacity=0").__aenter__(), 0
            found.errors += 1
        files = [(f"user{user}-photo{number}.jpg", marked_photo(user, number))]
        if dice.random() < 0.2:
            files.insert(0, (f"user{user}-broken.jpg", marked_photo(user, number)[:900]))
            found.errors += 1
        await session.upload(*files)
        while SENTENCE in session.words() and any(
            "Try again" in element.button.label for element in session.of("button")
        ):
            found.busy += 1
            await asyncio.sleep(dice.random())
            await session.click("Try again")
        assert session.faces(), session.words()
        found.photos += 1
        on_page += 1
        for picture in (await session.look()).values():
            found.check(user, users, picture)
        found.read(user, users, session.words())
        if dice.random() < 0.3:
            await _mark(session, user, users, found)
        if number % 5 == 4 or number == photos - 1:
            await _take_home(session, user, users, found)
        if on_page == 6:
            await session.click("Clear")
            on_page = 0
    await session.__aexit__(None, None, None)


async def _mark(session: Session, user: int, users: int, found: Found) -> None:
    """The picture on which a missed face is marked comes inside a chart."""
    await session.click("Add a missed face")
    (picture,) = session.drawn()
    found.check(user, users, picture)
    found.marked += 1
    await session.click("Cancel")


async def _take_home(session: Session, user: int, users: int, found: Found) -> None:
    found.check(user, users, await session.download("Picture (PNG)"))
    for table in ("CSV", "JSON"):
        words = (await session.download(table)).decode()
        assert f"user{user}-" in words
        found.read(user, users, words)
    with ZipFile(BytesIO(await session.download("ZIP of everything"))) as archive:
        for name in archive.namelist():
            if name.endswith(".png"):
                found.check(user, users, archive.read(name))
            else:
                found.read(user, users, archive.read(name).decode())
