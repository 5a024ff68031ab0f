"""Packs of images, their sources and their contents."""

from tool_runs import run_tool

from mim_plugins.archives import read_image_file

KINDS = ("tar", "parquet", "lmdb")


def pack(*arguments, code=0):
    return run_tool("dataset_converters/prepare_dataset.py", "pack", *arguments, code=code)


def write_folder(root, files):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def contents(dataset):
    paths = [dataset.get_data_info(index)["img_path"] for index in range(len(dataset))]
    return list(map(read_image_file, paths))
