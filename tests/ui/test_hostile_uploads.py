"""A dozen hostile files and the hostile names, dropped on the real page in a real browser."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from io import StringIO

from playwright.sync_api import Locator, Page, Response, expect

from tests.hostile import corpus, heif
from tests.hostile.corpus import CANARY, NAMES, encode, face, sample
from tests.ui.test_photo_browser import card, open_app, settled, sideways, upload


def pictures() -> dict[str, bytes]:
    """Hostile, and pictures all the same."""
    return {
        "zip.jpg": corpus.jpeg_and_zip(),
        "turned.jpg": encode(face(), "JPEG", exif=corpus.exif_of(9000, 6)),
        "sample.heic": encode(face(), "HEIC"),
        "exif.heic": heif.sharing_one_exif(400, 2_000_000),
    }


def no_pictures() -> dict[str, bytes]:
    """What is refused."""
    others = corpus.no_pictures()
    return {
        "half.jpg": sample("JPEG")[:900],
        "svg.png": others["SVG"],
        "html.jpg": others["HTML"],
        "bomb.zip": others["ZIP"],
        "frames.gif": others["GIF"],
        "huge.png": corpus.huge_claims()["PNG"],
        "mega.png": corpus.black_png(9400),
        "scans.jpg": corpus.jpeg_of_scans(1000, 500),
        "nothing.jpg": b"",
    }


def refusals(page: Page) -> Locator:
    """The sentences about files that were not read."""
    return page.locator(".st-key-refused").get_by_test_id("stText")


def test_each_hostile_file_is_analysed_or_refused_in_a_sentence(page: Page, app_url: str) -> None:
    responses: list[Response] = []
    page.on("response", lambda response: responses.append(response))
    good, bad = pictures(), no_pictures()
    open_app(page, app_url)
    upload(page, *good.items(), *bad.items())
    expect(card(page, 1)).to_be_visible()
    expect(refusals(page)).to_have_count(len(bad))
    for name, sentence in zip(bad, refusals(page).all_text_contents(), strict=True):
        assert re.fullmatch(rf"{name} was not read: [^\n<>]{{10,300}}\.", sentence), sentence
    for number, name in enumerate(good, 1):
        expect(page.get_by_alt_text(f"Picture {number}: {name}", exact=True)).to_be_visible()
    page.get_by_role("button", name=str(len(good)), exact=True).click()
    expect(page.get_by_text("No face found in exif.heic")).to_be_visible()  # it is grey
    expect(page.get_by_test_id("stException")).to_have_count(0)
    media = [one for one in responses if "/media/" in one.url and one.ok]
    assert len(media) > 4
    assert not [one.url for one in media if CANARY in one.body()]


def test_hostile_names_are_text_and_nothing_else(page: Page, app_url: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    # Browsers send no such names as are left out: no file system has them.
    names = [name for name in NAMES if "\x00" not in name and len(name) < 1000]
    open_app(page, app_url)
    upload(page, *[(name, b"no picture: " + str(k).encode()) for k, name in enumerate(names)])
    expect(refusals(page)).to_have_count(len(names))
    said = refusals(page).all_text_contents()
    assert all(one.isprintable() for one in said)
    whole = [name for name in NAMES[:11] if "/" not in name and name.isprintable()]
    assert len(whole) > 5
    for name in whole:  # markup, as it was written
        assert [one for one in said if one.startswith(f"{name} was not read: ")], name
    assert refusals(page).locator("img, a, script, b, em, strong, code, .katex").count() == 0
    settled(refusals(page).last)
    assert sideways(page) <= 0

    hostile = "=z <b>$z$ **y** ![x](y).png"
    upload(page, (hostile, encode(face(), "PNG")))
    expect(card(page, 1)).to_be_visible()
    under = page.locator(".st-key-under").get_by_test_id("stText")
    expect(under).to_have_text(hostile)
    assert under.locator("*:not(div, span)").count() == 0
    expect(refusals(page)).to_have_count(0)  # they were of another upload
    with page.expect_download() as download:
        page.get_by_role("button", name="ZIP").click()
    assert download.value.suggested_filename == "faces.zip"
    with zipfile.ZipFile(download.value.path()) as archive:
        members = archive.namelist()
        rows = list(csv.DictReader(StringIO(archive.read("faces.csv").decode("utf-8-sig"))))
        records = json.loads(archive.read("faces.json"))
    picture = ["picture-001/annotated.png", "picture-001/face-001.png"]
    assert members == ["faces.csv", "faces.json", *picture]
    assert rows
    assert not [row for row in rows if row["image"].startswith(("=", "+", "-", "@"))]
    assert all(record["image"].isprintable() for record in records)
    assert not dialogs
    assert not [url for url in asked if not url.startswith((app_url, "data:", "blob:", "ws:"))]
