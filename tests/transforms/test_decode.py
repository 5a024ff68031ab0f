import os
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from image_files import corrupt_files, encode, good_files, oriented, picture, textured
from mmcv import imfrombytes
from PIL import EpsImagePlugin, Image

from mim_plugins.errors import CorruptImageError
from mim_plugins.transforms import decode_image

GOOD = good_files()
CORRUPT = corrupt_files()


@pytest.mark.parametrize("name", GOOD)
def test_every_kind_of_image_gives_the_right_pixels(name):
    expected = picture()
    if name.startswith("gray"):
        luma = np.asarray(Image.fromarray(expected).convert("L"))
        expected = np.stack([luma] * 3, axis=-1)

    image = decode_image(GOOD[name])

    assert image.dtype == np.uint8
    assert image.shape == expected.shape
    error = np.abs(image[..., ::-1].astype(int) - expected)
    # JPEG and palettes are not exact; a wrong frame, channel, bit depth or turn is 40 away and more
    assert error.mean() < 4


@pytest.mark.parametrize("name", GOOD)
def test_pixels_are_those_of_the_default_backend_of_mmcv(name):
    assert np.array_equal(decode_image(GOOD[name]), imfrombytes(GOOD[name]))


@pytest.mark.parametrize("name", CORRUPT)
def test_corruption_is_an_error_with_path_and_kind(name):
    data, kind = CORRUPT[name]

    with pytest.raises(CorruptImageError, match=rf"^corrupt image 'x/{name}': {kind} \(.+\)$") as e:
        decode_image(data, f"x/{name}")
    assert (e.value.path, e.value.kind) == (f"x/{name}", kind)


def blank_png(width, height):
    """Return a small file of a large black PNG image of 1 bit per pixel."""

    def chunk(name, data):
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    deflate = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    pixels = b"".join(deflate.compress(row) for _ in range(height)) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize(("width", "height"), [(34000, 34000), (2_000_000, 1), (1, 2_000_000)])
def test_images_that_are_too_large_are_corrupt(width, height, capfd, recwarn):
    with pytest.raises(CorruptImageError, match=r"corrupt image 'x\.png': too large \(.+\)$") as e:
        decode_image(blank_png(width, height), "x.png")
    assert e.value.kind in CorruptImageError.KINDS
    assert "\n" not in str(e.value)
    assert not recwarn
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("limit", [10, None])
def test_limits_of_pillow_are_for_pillow(limit, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert decode_image(GOOD["turned.jpg"]).shape == (48, 64, 3)
    for kind in ("PNG", "WEBP"):
        assert decode_image(oriented(kind, 6)).shape == (64, 48, 3)
    white = b"P5 8 8 100 " + bytes([100] * 64)
    assert (decode_image(white) == 255).all()
    with pytest.raises(CorruptImageError, match="truncated"):
        decode_image(encode(textured(), "PNG")[:-200])


def test_cause_is_sought_without_memory_for_all_declared_pixels():
    header = b"P5 20000 20000 100 " + bytes(100)
    for content in (header, blank_png(20000, 20000)[:100]):
        with pytest.raises(CorruptImageError, match=r"corrupt \(OpenCV cannot decode the 20000x"):
            decode_image(content)


def test_most_jpegs_with_random_bytes_in_them_are_found():
    data = encode(textured(), "JPEG", quality=90)
    generator = np.random.default_rng(0)
    found = 0
    for _ in range(40):
        start = int(generator.integers(len(data) // 4, len(data) // 2))
        noise = generator.integers(0, 256, 256, dtype=np.uint8).tobytes()
        try:
            decode_image(data[:start] + noise + data[start + 256 :])
        except CorruptImageError:
            found += 1
    assert found >= 36


def test_other_messages_on_standard_error_are_passed_on(monkeypatch, capfd):
    original = cv2.imdecode

    def talking(*arguments):
        os.write(2, b"from another library\n")
        return original(*arguments)

    monkeypatch.setattr(cv2, "imdecode", talking)
    decode_image(GOOD["rgb.png"])

    assert capfd.readouterr().err == "from another library\n"


def test_standard_error_is_the_old_one_after_good_and_bad_images(capfd):
    decode_image(GOOD["rgb.jpg"])
    with pytest.raises(CorruptImageError):
        decode_image(CORRUPT["overwritten.jpg"][0])
    os.write(2, b"still here\n")

    assert capfd.readouterr().err == "still here\n"


def test_open_files_do_not_pile_up():
    before = len(os.listdir("/dev/fd"))
    for data in (GOOD["rgb.jpg"], GOOD["rgb.png"]) * 5:
        decode_image(data)
    assert len(os.listdir("/dev/fd")) == before


def test_works_without_standard_error(tmp_path):
    file = tmp_path / "image.jpg"
    file.write_bytes(GOOD["rgb.jpg"])
    code = (
        "import os, sys; os.close(2); from mim_plugins.transforms import decode_image;"
        f"print(decode_image(open({str(file)!r}, 'rb').read()).shape)"
    )
    result = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert result.stdout.splitlines()[-1:] == ["(48, 64, 3)"]


@pytest.mark.parametrize("white", [1, 15, 100, 255, 1000, 4095, 65535])
@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6"])
def test_pnm_files_are_scaled_by_their_largest_number(kind, white):
    shape = (6, 8, 3) if kind in ("P3", "P6") else (6, 8)
    levels = np.random.default_rng(0).random(shape)
    numbers = np.round(levels * white).astype(int)
    if kind in ("P2", "P3"):
        body = " ".join(map(str, numbers.flatten())).encode()
    else:
        body = numbers.astype("u1" if white < 256 else ">u2").tobytes()
    image = decode_image(f"{kind}\n# a comment\n8 6\n{white}\n".encode() + body)
    expected = numbers / white * 255
    expected = expected[..., ::-1] if len(shape) == 3 else expected[..., None]
    assert image.shape == (6, 8, 3)
    assert image.dtype == np.uint8
    assert np.abs(image - expected).max() <= 1


@pytest.mark.parametrize("kind", ["Pf", "PF"])
def test_pfm_files_are_refused(kind):
    data = f"{kind}\n4 3\n-1.0\n".encode() + bytes(4 * 3 * 4 * 3)
    with pytest.raises(CorruptImageError, match=r"unsupported \(a PFM file"):
        decode_image(data, "x.jpg")


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), "u1")],
)
def test_other_results_of_the_decoder_are_refused(monkeypatch, pixels):
    monkeypatch.setattr("cv2.imdecode", lambda *_: pixels)
    with pytest.raises(CorruptImageError, match=r"unsupported \(.* pixels of the shape"):
        decode_image(b"BM anything", "x.bmp")


def test_no_program_is_started_to_diagnose_a_file(monkeypatch):
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *args: started.append(args))
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\nshowpage\n"
    with pytest.raises(CorruptImageError, match=r"unsupported \(OpenCV cannot read EPS"):
        decode_image(content)
    assert started == []
