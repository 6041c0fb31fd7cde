"""Bytes to photos: what is accepted, how it is decoded, and what each refusal says."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from fer_demo.errors import BadImage
from fer_demo.images import MAX_BYTES, WORKING_SIDE, display_name, full_name, read_photo

PICTURE = Image.fromarray(astronaut()[:256, 100:400])


def encode(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_picture_of_each_accepted_format_is_read(format: str) -> None:
    photo = read_photo(encode(PICTURE, format), "a")
    assert photo.rgb.shape == (256, 300, 3)
    assert np.abs(photo.rgb.astype(int) - np.asarray(PICTURE)).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = PICTURE.transpose(undo[orientation]) if orientation > 1 else PICTURE
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = read_photo(encode(stored, "PNG", exif=exif), "turned.png")
    assert np.array_equal(photo.rgb, np.asarray(PICTURE))
    assert photo.scale == 1


def test_transparency_is_laid_on_white_and_hides_no_colour() -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[..., 0] = 255  # red, but wholly transparent
    assert (read_photo(encode(Image.fromarray(rgba), "PNG"), "a").rgb == 255).all()


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, 0)
    photo = read_photo(encode(Image.fromarray(ramp), "PNG"), "a")
    assert np.abs(photo.rgb[0, :, 0].astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA"])
def test_other_colour_modes_look_as_pillow_shows_them(mode: str) -> None:
    image = PICTURE.convert(mode)
    photo = read_photo(encode(image, "JPEG" if mode == "CMYK" else "PNG", quality=100), "a")
    assert np.abs(photo.rgb.astype(int) - np.asarray(image.convert("RGB"))).mean() < 2


def test_a_large_photo_is_reduced_and_remembers_its_size() -> None:
    photo = read_photo(encode(PICTURE.resize((6000, 3000)), "JPEG"), "large.jpg")
    assert max(photo.width, photo.height) <= WORKING_SIDE
    assert photo.full_size == (6000, 3000)
    assert photo.scale == pytest.approx(6000 / photo.width)


def test_only_the_first_frame_of_an_animation_is_read() -> None:
    frames = [Image.new("RGB", (32, 32), c) for c in ("red", "lime", "blue")]
    data = encode(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert read_photo(data, "a.png").rgb[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the file is empty"),
        (b"GIF89a" + bytes(50), "GIF is not supported"),
        (b"%PDF-1.7", "PDF is not supported"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG is not supported"),
        (b"<!DOCTYPE html><p>hello", "HTML is not supported"),
        (b"II*\x00" + bytes(50), "TIFF is not supported"),
        (b"PK\x03\x04" + bytes(50), "ZIP is not supported"),
        (bytes(1000), "not a picture of a known format"),
    ],
)
def test_what_is_no_accepted_picture_is_refused_by_name(data: bytes, says: str) -> None:
    with pytest.raises(BadImage, match=says) as caught:
        read_photo(data, "holiday.jpg")
    assert str(caught.value).startswith("holiday.jpg was not read: ")
    assert not data or "JPEG, PNG, WebP, AVIF" in str(caught.value)


def test_a_truncated_picture_is_refused() -> None:
    data = encode(PICTURE, "JPEG")
    with pytest.raises(BadImage, match="damaged or incomplete"):
        read_photo(data[: len(data) // 2], "half.jpg")


@pytest.mark.parametrize("side", [65535, 12001, 9400])
def test_a_header_that_claims_too_many_pixels_is_refused_before_decoding(side: int) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(BadImage, match="64 megapixels"):
        read_photo(data, "bomb.png")


@pytest.mark.parametrize("over", [1, 900_000])
def test_a_file_that_is_too_large_is_not_said_to_have_just_the_limit(over: int) -> None:
    with pytest.raises(BadImage, match="it has more than 20 MB, which is the limit"):
        read_photo(bytes(MAX_BYTES + over), "a.jpg")


def test_names_in_tables_are_whole_and_printable() -> None:
    assert full_name("../../etc/" + "x" * 200 + "\u202e.png") == "x" * 200 + ".png"
    assert full_name("\n") == "The picture"


def test_names_in_sentences_are_short_and_printable() -> None:
    assert display_name("../../etc/pass\x00wd\u202e.png") == "passwd.png"
    assert len(display_name("x" * 4000)) == 60
    assert display_name("\n") == "The picture"
