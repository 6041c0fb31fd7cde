"""Small files that would cost much, and metadata that must not get through."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from fer_demo.export import annotated_png, to_zip
from fer_demo.images import MAX_BYTES
from tests.analyses import made_analysis
from tests.conftest import ROOT
from tests.hostile import corpus, heif
from tests.hostile.corpus import CANARY, chunk, sample, with_chunks, with_segments
from tests.hostile.limits import outcome, photo, refusal, within

SLOW = "it is built in a way that takes too long"


@pytest.mark.parametrize("format", corpus.FORMATS)
def test_a_header_that_claims_65535_pixels_a_side_is_refused_unread(format: str) -> None:
    data = corpus.huge_claims()[format]
    with within(0.2, 20):
        refusal(data)


def test_a_png_of_88_megapixels_is_refused_unread() -> None:
    data = corpus.black_png(9400)
    with within(0.2, 20):
        assert "the limit is 64 megapixels" in refusal(data)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF"])
def test_of_300_frames_only_the_first_is_decoded(format: str) -> None:
    data = corpus.animations()[format]
    with within(1):
        rgb = photo(data).rgb
    red, green, blue = rgb.reshape(-1, 3).mean(0)
    assert red > 245
    assert max(green, blue) < 10


@pytest.fixture(scope="module")
def metadata() -> dict[str, bytes]:
    return corpus.metadata()


@pytest.mark.parametrize("case", list(corpus.metadata(100_000)))
def test_eight_megabytes_of_metadata_cost_little(metadata: dict[str, bytes], case: str) -> None:
    data = metadata[case]
    with within(1, 50):
        result = photo(data)
    assert result.rgb.shape == (64, 64, 3)


def test_a_heic_with_eight_megabytes_of_exif_costs_little() -> None:
    data = heif.sharing_one_exif(1, 8_000_000)
    with within(1, 50):
        photo(data)


def test_pictures_that_share_one_block_of_exif_do_not_multiply_it() -> None:
    data = heif.sharing_one_exif(400, 8_000_000)
    with within(1, 50):
        photo(data)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_no_export_carries_exif_or_a_position(format: str) -> None:
    data = corpus.encode(corpus.face(), format, exif=corpus.exif_of(100, orientation=6))
    assert CANARY in data
    analysis = made_analysis()
    analysis = type(analysis)(
        photo(data), *(getattr(analysis, f) for f in analysis.__slots__ if f != "photo")
    )
    with ZipFile(BytesIO(to_zip([("a.jpg", analysis)]))) as archive:
        files = [archive.read(name) for name in archive.namelist()]
    for file in (annotated_png(analysis), *files):
        assert CANARY not in file
        if file.startswith(b"\x89PNG"):
            image = Image.open(BytesIO(file))
            assert not image.getexif()
            assert not image.info


@pytest.mark.parametrize(
    "part",
    [
        chunk(b"tEXt", b"a\0b"),
        chunk(b"abCd", b""),
        chunk(b"IDAT", b""),
        chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(900_000), 9)),
        chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(900_000), 9)),
        chunk(b"fcTL", bytes(26)),
    ],
    ids=["texts", "unknown", "empty", "profiles", "packed texts", "frames"],
)
def test_a_png_full_of_chunks_costs_little(part: bytes) -> None:
    with within(1, 120):  # the file has 19 MB itself
        outcome(with_chunks(part * ((MAX_BYTES - 10**6) // len(part))))


@pytest.mark.parametrize("code", [0xFE, 0xE1, 0xE2, 0xED, 0xDB, 0xC4])
def test_a_jpeg_full_of_segments_is_refused(code: int) -> None:
    data = with_segments(*[(code, b"")] * 200_000)
    with within(1, 50):
        assert SLOW in refusal(data)


def test_a_jpeg_full_of_fill_bytes_costs_little() -> None:
    data = sample("JPEG")
    with within(1, 50):
        photo(data[:2] + b"\xff" * (MAX_BYTES - 10**6) + data[2:])


def test_a_jpeg_of_many_scans_is_refused() -> None:
    data = corpus.jpeg_of_scans(4000, scans=1000)
    assert len(data) < 300_000
    with within(1, 50):
        assert SLOW in refusal(data)


def test_an_ordinary_progressive_jpeg_is_read() -> None:
    photo(corpus.jpeg_of_scans(64, scans=20))


def test_tags_that_claim_the_same_bytes_are_not_copied() -> None:
    exif = corpus.many_large_tags(60_000, 1_000_000)
    with within(1, 50):
        photo(with_chunks(chunk(b"eXIf", exif)))
        photo(corpus.encode(corpus.face(64), "WEBP", exif=b"Exif\0\0" + exif))


def test_a_grid_of_tiles_that_nobody_sees_is_refused() -> None:
    shown = heif.grid(256, 2, 2, (512, 512))
    assert photo(shown).rgb.shape == (512, 512, 3)
    hidden = heif.grid(2048, 10, 10, (64, 64))
    with within(0.5, 20):
        assert SLOW in refusal(hidden)


@pytest.mark.parametrize("count", [0xFFFFFFFF, 60_000])
def test_properties_that_claim_to_go_on_through_the_file_are_not_followed(count: int) -> None:
    claim = heif.box(b"ipma", struct.pack(">I", count), full=0)
    meta = heif.box(b"meta", heif.box(b"iprp", *[claim] * 10), full=0)
    start = heif.box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    with within(0.5, 50):
        refusal(start + meta + heif.box(b"mdat", b"\xff" * 14_000_000))


def test_a_picture_larger_than_its_container_says_is_refused_or_small() -> None:
    lying = heif.heic(np.full((2048, 2048, 3), 128, np.uint8), claims=(64, 64))
    with within(0.5, 20):
        refusal(lying)
    data = corpus.encode(Image.new("RGB", (2048, 2048), "grey"), "AVIF", speed=10)
    place = data.index(b"ispe") + 8
    with within(0.5, 50):
        outcome(data[:place] + struct.pack(">II", 64, 64) + data[place + 8 :])


_READ_ALONE = """
import sys
from pathlib import Path
from tests.hostile.limits import photo, within

data = Path(sys.argv[1]).read_bytes()
with within(5, float(sys.argv[2])):
    photo(data, seconds=5)
"""


@pytest.mark.parametrize(
    ("mode", "megabytes"), [("RGB", 460), ("RGBA", 710), ("P", 520), ("I;16", 590), ("1", 530)]
)
def test_the_largest_picture_that_is_accepted_fits_into_memory(
    tmp_path: Path, mode: str, megabytes: int
) -> None:
    options = {"transparency": 0} if mode == "P" else {}
    data = corpus.encode(Image.new(mode, (8000, 8000)), "PNG", compress_level=1, **options)
    file = tmp_path / "x.png"
    file.write_bytes(data)
    # Alone, because memory that earlier tests have freed but not given back would hide a part.
    command = [sys.executable, "-c", _READ_ALONE, str(file), str(megabytes)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
