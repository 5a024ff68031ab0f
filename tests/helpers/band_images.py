"""Files of several bands for tests."""

import io
import struct
import zlib

import numpy as np


def scene(bands=13, size=(40, 50), dtype=np.uint16, seed=0):
    """Smooth bands (H, W, C) that differ from each other, with values up to 10,000."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    waves = generator.uniform(0.05, 0.3, (2, bands))
    field = np.sin(rows[..., None] * waves[0]) + np.cos(columns[..., None] * waves[1])
    scale = 60 if np.dtype(dtype) == np.uint8 else 2400
    return (scale * (field + 2)).astype(dtype)


def tiff(pixels, **options):
    """Content of a TIFF file, by default with the bands (H, W, C) interleaved."""
    import tifffile

    file = io.BytesIO()
    default = dict(photometric="minisblack", planarconfig="contig") if pixels.ndim == 3 else {}
    tifffile.imwrite(file, pixels, **default | options)
    return file.getvalue()


def gray_alpha_png(gray, alpha):
    """Content of a PNG file of gray and alpha (H, W), of 8 or 16 bits; Pillow writes 8 only."""

    def chunk(name, data):
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    size = gray.dtype.itemsize
    rows = np.stack([gray, alpha], axis=2).astype(gray.dtype.newbyteorder(">"))
    rows = rows.view(np.uint8).reshape(len(gray), -1)
    filtered = np.pad(rows, ((0, 0), (1, 0))).tobytes()
    header = struct.pack(">IIBBBBB", gray.shape[1], gray.shape[0], 8 * size, 4, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(filtered)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def dicom(pixels, bits=12, syntax="1.2.840.10008.1.2.1", **tags):
    """Content of a DICOM file of gray pixels (H, W): 16-bit, 8-bit if uint8, or 32-bit floats."""
    import pydicom

    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelRepresentation, dataset.SamplesPerPixel = 0, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    for name, value in tags.items():
        if isinstance(value, pydicom.DataElement):
            dataset.add(value)
        else:
            setattr(dataset, name, value)
    if pixels.dtype == np.float32:
        dataset.BitsAllocated, dataset.FloatPixelData = 32, pixels.tobytes()
    elif pixels.dtype == np.uint8:
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        dataset.PixelData = pixels.tobytes()
    else:
        dataset.PixelData = pixels.astype(np.uint16).tobytes()
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def write_scenes(folder, count=6, suffix=".tif", **options):
    """Write scenes as TIFF, or as NumPy files with ``suffix='.npy'``; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        pixels = scene(seed=index, **options)
        content = npy(pixels) if suffix == ".npy" else tiff(pixels.squeeze())
        (folder / f"{index:02d}{suffix}").write_bytes(content)
    return folder
