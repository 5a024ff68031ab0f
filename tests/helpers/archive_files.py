"""Archives of every format with the same files, as users have them."""

import io
import json
import tarfile
import zipfile

import numpy as np
from PIL import Image

FORMATS = ("tar", "zip", "lmdb", "parquet", "hf")
TREES = ("tar", "zip", "lmdb")  # members have paths


def image_bytes(seed=0, size=(40, 48), kind="PNG"):
    """Return the file of an image of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def class_files(split="", classes="ab", images=2):
    """Return the files of class folders by their paths."""
    prefix = f"{split}/" if split else ""
    return {
        f"{prefix}{name}/{index}.png": image_bytes(10 * number + index + 100 * (split == "val"))
        for number, name in enumerate(classes)
        for index in range(images)
    }


def write_archive(path, files, kind):
    """Write files by path; tables get a column of labels from the folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dict(tar=write_tar, zip=write_zip, lmdb=write_lmdb, parquet=write_parquet, hf=write_hf)[kind](
        path, files
    )
    return path


def write_tar(path, files):
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def write_zip(path, files, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def write_lmdb(path, files):
    import lmdb

    environment = lmdb.open(str(path), subdir=False, map_size=1 << 24, lock=False)
    with environment, environment.begin(write=True) as transaction:
        for name, data in files.items():
            transaction.put(name.encode(), data)


def write_parquet(path, files, rows=2, labels=None, names=True, column="image"):
    import pyarrow
    from pyarrow import parquet

    classes, numbers = _labels(files)
    images = [dict(bytes=data, path=name) for name, data in files.items()]
    kind = pyarrow.struct(dict(bytes=pyarrow.binary(), path=pyarrow.string()))
    table = pyarrow.table(
        {column: pyarrow.array(images, kind), "label": numbers if labels is None else labels}
    )
    if names:
        features = dict(label=dict(_type="ClassLabel", names=classes), image=dict(_type="Image"))
        content = json.dumps(dict(info=dict(features=features)))
        table = table.replace_schema_metadata(dict(huggingface=content))
    parquet.write_table(table, path, row_group_size=rows)


def write_hf(path, files):
    import datasets

    classes, numbers = _labels(files)
    features = datasets.Features(
        image=datasets.Image(), label=datasets.ClassLabel(names=classes or ["none"])
    )
    images = [dict(bytes=data, path=None) for data in files.values()]
    columns = dict(image=images, label=numbers)
    datasets.Dataset.from_dict(columns, features).save_to_disk(str(path))


def _labels(files):
    folders = [name.rpartition("/")[0].rpartition("/")[2] for name in files]
    classes = sorted(set(folders))
    return classes, [classes.index(folder) for folder in folders]
