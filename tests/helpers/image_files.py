"""Real files of each kind of image and of each kind of corruption."""

import io
import re
import struct

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin

HEIGHT, WIDTH = 48, 64
READS_GIF = re.search(r"GIF:\s+YES", cv2.getBuildInformation()) is not None


def picture():
    """Return a smooth RGB picture (48, 64, 3): left dark, right bright, red at the top."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    red = 250 - 4 * rows
    green = 40 + 3 * columns
    blue = 60 + rows + columns
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def textured():
    """Return a picture whose JPEG file consists mostly of pixel data."""
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation, tag_type="SHORT", endian="<"):
    """Return EXIF metadata with only an orientation, whose number is a SHORT or LONG."""
    start = (b"II*\0" if endian == "<" else b"MM\0*") + struct.pack(f"{endian}IH", 8, 1)
    code, value = (3, "HH") if tag_type == "SHORT" else (4, "I")
    numbers = (orientation, 0)[: len(value)]
    tag = struct.pack(f"{endian}HHI{value}", 0x0112, code, 1, *numbers)
    return b"Exif\0\0" + start + tag + bytes(4)


def oriented(kind, orientation, tag_type="SHORT", endian="<"):
    """Return a JPEG, PNG, WebP or TIFF file of the picture as a turned camera would store it."""
    rgb = Image.fromarray(picture())
    if kind != "TIFF":
        options = dict(PNG={}, WEBP=dict(lossless=True), JPEG=dict(quality=95, subsampling=0))
        return encode(rgb, kind, exif=exif(orientation, tag_type, endian), **options[kind])
    tags = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II" if endian == "<" else b"MM")
    tags.tagtype[0x0112] = 3 if tag_type == "SHORT" else 4
    tags[0x0112] = orientation
    return encode(rgb, kind, tiffinfo=tags)


def good_files():
    """Return a file of each kind by name; all show the picture, in color or in gray."""
    rgb = Image.fromarray(picture())
    gray = rgb.convert("L")
    clear = rgb.copy()
    clear.putalpha(Image.fromarray(np.tile(np.arange(WIDTH, dtype=np.uint8), (HEIGHT, 1))))
    gray16 = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257)
    rgb16 = cv2.imencode(".png", picture()[..., ::-1].astype(np.uint16) * 257)[1].tobytes()
    frames = dict(save_all=True, append_images=[Image.new("RGB", rgb.size, (255, 0, 0))])
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees
    turned = rgb.transpose(Image.Transpose.ROTATE_90)
    gifs = {"still.gif": encode(rgb, "GIF"), "animated.gif": encode(rgb, "GIF", **frames)}
    return (gifs if READS_GIF else {}) | {
        "rgb.jpg": encode(rgb, "JPEG", quality=95, subsampling=0),
        "progressive.jpg": encode(rgb, "JPEG", quality=95, subsampling=0, progressive=True),
        "cmyk.jpg": encode(rgb.convert("CMYK"), "JPEG", quality=95),
        "turned.jpg": encode(turned, "JPEG", quality=95, subsampling=0, exif=exif),
        "png named.jpg": encode(rgb, "PNG"),
        "rgb.png": encode(rgb, "PNG"),
        "rgba.png": encode(clear, "PNG"),
        "palette.png": encode(rgb.quantize(128), "PNG"),
        "palette clear.png": encode(rgb.quantize(128), "PNG", transparency=0),
        "rgb16.png": rgb16,
        "animated.png": encode(rgb, "PNG", **frames),
        "rgb.webp": encode(rgb, "WEBP", lossless=True),
        "rgba.webp": encode(clear, "WEBP", lossless=True, exact=True),
        "animated.webp": encode(rgb, "WEBP", lossless=True, **frames),
        "rgb.tif": encode(rgb, "TIFF", compression="tiff_lzw"),
        "cmyk.tif": encode(rgb.convert("CMYK"), "TIFF"),
        "rgb.bmp": encode(rgb, "BMP"),
        "rgb.ppm": encode(rgb, "PPM"),
        "gray.jpg": encode(gray, "JPEG", quality=95),
        "gray.png": encode(gray, "PNG"),
        "gray alpha.png": encode(clear.convert("LA"), "PNG"),
        "gray16.png": encode(gray16, "PNG"),
        "gray16.tif": encode(gray16, "TIFF"),
        "gray16.pgm": encode(gray16, "PPM"),
    }


def corrupt_files():
    """Return by name corrupt files, each with the kind that it must be recognized as."""
    jpeg = encode(textured(), "JPEG", quality=95)
    middle = len(jpeg) // 2
    other = bytes(np.random.default_rng(1).integers(0, 255, 64, dtype=np.uint8))
    png = encode(textured(), "PNG")
    floats = Image.fromarray(picture()[..., 0].astype(np.float32))
    return {
        "empty.jpg": (b"", "empty"),
        "page.jpg": (b"<!doctype html><title>404</title>", "not an image"),
        "half.jpg": (jpeg[:middle], "truncated"),
        "no end.jpg": (jpeg[:-40], "truncated"),
        "overwritten.jpg": (jpeg[:middle] + other + jpeg[middle + 64 :], "corrupt"),
        "zeros.jpg": (jpeg[:middle] + bytes(512) + jpeg[middle + 512 :], "corrupt"),
        "half.png": (png[: len(png) // 2], "truncated"),
        "overwritten.png": (png[:2000] + other + png[2064:], "corrupt"),
        "half.webp": (encode(textured(), "WEBP")[:1000], "corrupt"),
        "half.gif": (encode(textured(), "GIF")[:3000], "truncated"),
        "half.bmp": (encode(textured(), "BMP")[:9000], "truncated"),
        "float.tif": (encode(floats, "TIFF"), "unsupported"),
    }
