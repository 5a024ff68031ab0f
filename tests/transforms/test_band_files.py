"""Kinds of files of several bands, with a reason for each that cannot be read."""

import importlib
import io
import zipfile

import numpy as np
import pytest
from band_images import dicom, npy, npz, scene, tiff
from image_files import corrupt_files, encode, oriented
from PIL import Image

from mim_plugins.errors import ConfigError, CorruptImageError
from mim_plugins.transforms import Bands, band_files, decode_image
from mim_plugins.transforms.band_files import read_raw_bands

tifffile = pytest.importorskip("tifffile")
pydicom = pytest.importorskip("pydicom")


@pytest.mark.parametrize(
    "options",
    [
        dict(),
        dict(compression="lzw", predictor=True),
        dict(compression="zlib", tile=(16, 16)),
        dict(compression="zstd"),
        dict(bigtiff=True),
        dict(byteorder=">"),
    ],
)
def test_tiff_layouts_have_the_same_numbers(options):
    pixels = scene()
    assert np.array_equal(Bands(13).decode(tiff(pixels, **options)), pixels)


def test_overviews_and_masks_of_a_tiff_are_ignored():
    pixels, file = scene(2, (64, 64)), io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(pixels, photometric="minisblack", planarconfig="contig")
        writer.write(pixels[::2, ::2], photometric="minisblack", planarconfig="contig",
                     subfiletype=1)  # fmt: skip
    assert np.array_equal(Bands(2).decode(file.getvalue()), pixels)


def test_several_images_in_one_tiff_are_refused():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(scene(2), photometric="minisblack", planarconfig="contig")
        writer.write(scene(3), photometric="minisblack", planarconfig="contig")
    with pytest.raises(CorruptImageError, match="2 images of several shapes"):
        Bands(2).decode(file.getvalue())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
def test_orientation_is_applied_as_to_colors(kind, orientation):
    content = oriented(kind, orientation)
    assert np.array_equal(Bands(3).decode(content), decode_image(content))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image.new("P", (8, 8)), "indices of a palette"),
        (Image.new("1", (8, 8)), "numbers of type bool"),
        (Image.new("YCbCr", (8, 8)), "the colors are YCbCr"),
    ],
)
def test_numbers_that_are_no_intensities_are_refused(image, message):
    with pytest.raises(CorruptImageError, match=message):
        Bands(1).decode(encode(image, "TIFF"))


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_truncated_tiff_is_corrupt(compression):
    content = tiff(scene(), compression=compression)
    for end in (100, len(content) // 2):
        with pytest.raises(CorruptImageError) as error:
            read_raw_bands(content[:end], "x.tif")
        assert error.value.kind in ("corrupt", "truncated")
        assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", [n for n in corrupt_files() if not n.endswith(".tif")])
def test_other_corrupt_files_have_the_usual_kind(name):
    content, kind = corrupt_files()[name]
    with pytest.raises(CorruptImageError) as error:
        read_raw_bands(content, name)
    assert error.value.kind == kind


def test_pickled_objects_are_never_loaded():
    class Malice:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was executed",))

    content = npy(np.array([Malice()], object), allow_pickle=True)
    for data, name in ((content, "x.npy"), (npz(a=np.array([None])), "x.npz")):
        with pytest.raises(CorruptImageError, match="array of objects, which may contain code"):
            read_raw_bands(data, name)


def test_archive_of_numpy_has_one_array():
    pixels = scene(4)
    assert np.array_equal(Bands(4).decode(npz(bands=pixels), "x.npz"), pixels)
    with pytest.raises(CorruptImageError, match=r"2 arrays \(a, b\); save one array per file"):
        Bands(4).decode(npz(a=pixels, b=pixels), "x.npz")
    text = io.BytesIO()
    with zipfile.ZipFile(text, "w") as archive:
        archive.writestr("a.txt", "no array")
    with pytest.raises(CorruptImageError, match="it has no array; save one array per file"):
        Bands(4).decode(text.getvalue(), "x.npz")
    for data in (npy(pixels)[:-9], npz(a=pixels)[:-9]):
        with pytest.raises(CorruptImageError):
            Bands(4).decode(data, "x.npz")


@pytest.mark.parametrize("name", ["npz", "tif", "dcm"])
def test_numbers_are_counted_before_they_are_decompressed(name, monkeypatch):
    pixels = np.zeros((20, 30), np.uint16)
    contents = dict(npz=npz(a=pixels), tif=tiff(pixels, compression="zlib"), dcm=dicom(pixels))
    read_raw_bands(contents[name])
    decoders = (
        (np.lib.npyio.NpzFile, "__getitem__"),
        (tifffile.TiffPageSeries, "asarray"),
        (pydicom.pixels, "pixel_array"),
    )
    for owner, method in decoders:
        monkeypatch.setattr(owner, method, lambda *_, **__: pytest.fail("decompressed"))
    monkeypatch.setattr(band_files, "_LARGEST", 2 * pixels.size - 1)
    with pytest.raises(CorruptImageError, match=r"too large \(1\d\d\d bytes") as error:
        read_raw_bands(contents[name])
    assert error.value.kind == "too large"


def test_header_of_a_huge_array_is_no_reason_to_crash():
    content = npy(np.zeros((4, 5))).replace(b"(4, 5), }", b"(4000000, 5000000), }")
    with pytest.raises(CorruptImageError):
        read_raw_bands(content, "x.npy")


def test_dicom_has_the_units_of_its_rescaling():
    stored = np.arange(80).reshape(8, 10)
    raw = read_raw_bands(dicom(stored, RescaleSlope="2", RescaleIntercept="-1024"))
    assert np.array_equal(raw.pixels, 2.0 * stored - 1024)
    padded = dicom(stored, RescaleSlope="2", RescaleIntercept="-1024", PixelPaddingValue=5)
    assert np.array_equal(Bands(1).read(padded).missing[..., 0], stored == 5)


def test_inverted_dicom_is_turned_to_bright_for_high():
    stored = np.arange(80).reshape(8, 10)
    inverted = dicom(4095 - stored, PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(Bands(1).decode(inverted)[..., 0], stored)


@pytest.mark.parametrize("bits", [12, 16])
def test_inverted_dicom_of_signed_numbers_keeps_their_range(bits):
    lowest, highest = -(1 << bits - 1), (1 << bits - 1) - 1
    stored = np.array([[lowest, -1, 0, 5, highest]] * 4)
    tags = dict(PhotometricInterpretation="MONOCHROME1", PixelRepresentation=1)
    padding = pydicom.DataElement(0x00280120, "SS", 5)
    raw = read_raw_bands(dicom(stored, bits=bits, PixelPaddingValue=padding, **tags))
    assert np.array_equal(raw.pixels, lowest + highest - stored)
    assert raw.nodata == (-6, -6)


def test_inverted_dicom_of_eight_bits_stays_of_eight_bits():
    stored = np.arange(80, dtype=np.uint8).reshape(8, 10)
    pixels = Bands(1).decode(dicom(stored, PhotometricInterpretation="MONOCHROME1"))
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels[..., 0], 255 - stored)


def test_inverted_dicom_ignores_bits_beyond_the_declared_ones():
    stored = np.arange(80).reshape(8, 10) + 4090
    raw = read_raw_bands(dicom(stored, bits=12, PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(raw.pixels, 4095 - stored % 4096)  # higher bits are no part of numbers


@pytest.mark.parametrize("color", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("slope", ["1", "-0.1"])
@pytest.mark.parametrize(("padding", "limit"), [(5, None), (5, 9), (9, 5)])
def test_padding_of_dicom_is_missing(color, slope, padding, limit):
    stored = np.arange(80).reshape(8, 10)
    tags = dict(PhotometricInterpretation=color, RescaleSlope=slope, RescaleIntercept="0.3")
    if limit is not None:
        tags["PixelPaddingRangeLimit"] = limit
    missing = Bands(1).read(dicom(stored, PixelPaddingValue=padding, **tags)).missing
    ends = sorted((padding, padding if limit is None else limit))
    assert np.array_equal(missing[..., 0], (stored >= ends[0]) & (stored <= ends[1]))


def test_padding_of_floats_in_dicom_is_missing():
    stored = np.linspace(-1, 1, 80, dtype=np.float32).reshape(8, 10)
    stored[2:4] = -99.5
    image = Bands(1).read(dicom(stored, FloatPixelPaddingValue=-99.5))
    assert np.array_equal(image.pixels[..., 0], stored)
    assert np.array_equal(image.missing[..., 0], stored == -99.5)


@pytest.mark.parametrize("declared", [-2000, 63536])
def test_negative_padding_may_be_declared_by_its_bits(declared):
    stored = np.arange(-40, 40).reshape(8, 10)
    stored[0, :3] = -2000
    # both numbers share their bits, but only one fits the type of an element
    element = pydicom.DataElement(0x00280120, "SS" if declared < 0 else "US", declared)
    content = dicom(stored, bits=16, PixelRepresentation=1, PixelPaddingValue=element)
    assert np.array_equal(Bands(1).read(content).missing[..., 0], stored == -2000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(NumberOfFrames=2), "it has 2 frames; save one image per file"),
        (dict(PhotometricInterpretation="PALETTE COLOR"), "it has indices of a palette"),
    ],
)
def test_dicom_of_other_kinds_is_refused(change, message):
    with pytest.raises(CorruptImageError, match=message):
        read_raw_bands(dicom(np.zeros((2, 8, 10)), **change))


def test_truncated_dicom_is_corrupt():
    with pytest.raises(CorruptImageError, match="truncated"):
        read_raw_bands(dicom(np.zeros((8, 10)))[:-50])


@pytest.mark.parametrize(
    ("content", "package", "extra"),
    [(tiff(scene()), "tifffile", "bands"), (dicom(np.zeros((8, 10))), "pydicom", "dicom")],
)
def test_missing_package_is_an_error_with_its_command(content, package, extra, monkeypatch):
    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr(band_files, "import_module", refuse)
    with pytest.raises(ConfigError, match=rf"package {package}: pip install 'mim_plugins\[{extra}"):
        read_raw_bands(content, "x")


def test_missing_codec_is_an_error_with_its_command(monkeypatch):
    content = tiff(scene(), compression="lzw")

    def refuse(*arguments, **options):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", refuse)
    with pytest.raises(ConfigError, match=r"LZW.*imagecodecs.*pip install 'mim_plugins\[bands\]'"):
        read_raw_bands(content, "x")
    assert importlib.util.find_spec("imagecodecs")


def test_missing_plugin_of_dicom_is_an_error_with_its_command(monkeypatch):
    def refuse(dataset):
        raise RuntimeError("Unable to decompress 'JPEG 2000': all plugins are missing dependencies")

    monkeypatch.setattr(pydicom.pixels, "pixel_array", refuse)
    with pytest.raises(ConfigError, match=r"JPEG 2000.*: pip install 'pylibjpeg\[all\]'"):
        read_raw_bands(dicom(np.zeros((8, 10))), "x")
