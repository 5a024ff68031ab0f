"""Data of the hub and of the web, replaced by data on the disk and in memory."""

from archive_files import write_hf
from mmengine import fileio

from mim_plugins.archives import HUB
from mim_plugins.archives.image_archive import opened_archives


def fake_hub(monkeypatch, folder, **splits):
    """Replace the hub; every data set there has ``splits``, dicts of files.

    Returns:
        The calls that load data, as (name, config, split).
    """
    import datasets

    calls = []
    for name, files in splits.items():
        write_hf(folder / "hub" / name, files)
    for path in [path for path in opened_archives if path.startswith(HUB)]:
        del opened_archives[path]

    def load(*arguments, split):
        calls.append((*arguments, split))
        return datasets.load_from_disk(str(folder / "hub" / split))

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(datasets, "get_dataset_split_names", lambda *_: list(splits))
    return calls


def fake_web(monkeypatch, files):
    """Replace MMEngine's reading of URLs by that of files by name; return their URLs."""
    contents = {f"https://host/{name}": data for name, data in files.items()}
    monkeypatch.setattr(fileio, "get", lambda url, **_: contents[url])
    return list(contents)
