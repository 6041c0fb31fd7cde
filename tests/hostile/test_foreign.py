"""What is no picture here, and what is a picture and something else."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZipFile, is_zipfile

import pytest

from fer_demo.containers import bare
from fer_demo.export import annotated_png, to_csv, to_json, to_record, to_zip
from fer_demo.images import ACCEPTED
from fer_demo.types import Analysis
from tests.analyses import made_analysis
from tests.hostile import corpus
from tests.hostile.corpus import CANARY, FORMATS, sample
from tests.hostile.limits import photo, refusal


@pytest.mark.parametrize("kind", list(corpus.no_pictures()))
def test_what_is_no_picture_is_refused_and_told_what_is_accepted(kind: str) -> None:
    assert ACCEPTED in refusal(corpus.no_pictures()[kind], "holiday.jpg", seconds=0.5)


@pytest.mark.parametrize("format", FORMATS)
def test_the_name_does_not_decide_what_a_file_is(format: str) -> None:
    assert photo(sample(format), "wrong.gif").rgb.shape == (64, 64, 3)


def analysis_of(data: bytes) -> Analysis:
    """The photo with a face that was found by nobody."""
    made = made_analysis()
    rest = (getattr(made, field) for field in made.__slots__ if field != "photo")
    return Analysis(photo(data), *rest)


def test_of_a_picture_that_is_also_a_zip_only_the_pixels_come_back() -> None:
    data = corpus.jpeg_and_zip()
    assert is_zipfile(BytesIO(data))
    analysis = analysis_of(data)
    with ZipFile(BytesIO(to_zip([("a.jpg", analysis)]))) as archive:
        members = [archive.read(name) for name in archive.namelist()]
    record = to_record(analysis, "a.jpg")
    for file in (annotated_png(analysis), to_csv([record]), to_json([record]), *members):
        assert CANARY not in file
        assert not is_zipfile(BytesIO(file))


@pytest.mark.parametrize("format", FORMATS)
def test_what_follows_a_picture_never_reaches_the_decoder(format: str) -> None:
    data = sample(format)
    if format in ("AVIF", "HEIC"):  # a box that no reader knows
        appended = data + (len(CANARY) + 8).to_bytes(4, "big") + b"skip" + CANARY
        assert photo(appended).rgb.tobytes() == photo(data).rgb.tobytes()
    else:
        assert bare(data + CANARY) == bare(data)
