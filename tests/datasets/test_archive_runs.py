"""Runs on a mixture of archives."""

from pathlib import Path

import pytest
from archive_files import class_files, image_bytes, write_archive
from tiny_run import run, run_in_pieces, same, tiny_config

CORRUPT = image_bytes()[:300]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Config of a run on 6 images of an archive twice, one corrupt, and 6 of 8 rows of a table."""
    folder = tmp_path_factory.mktemp("mixture")
    files = class_files(classes="ab", images=3) | {"a/1.png": CORRUPT}
    write_archive(folder / "a.tar", files, "tar")
    write_archive(folder / "b.parquet", class_files(classes="ab", images=4), "parquet")
    cfg = tiny_config(folder, "run")
    part = dict(
        type="mim_plugins.UnlabeledImageFolder",
        on_corrupt="replace",
        pipeline=[
            dict(type="mim_plugins.LoadRandomResizedCrop", scale=32, flip_prob=0.5),
            dict(type="mim_plugins.PackInputs"),
        ],
    )
    parts = [dict(part, data_root=str(folder / name)) for name in ("a.tar", "b.parquet")]
    loader = cfg.train_dataloader
    loader.dataset = dict(type="ConcatDataset", datasets=parts)
    loader.sampler = dict(type="mim_plugins.MixtureSampler", weights=[2, 0.75])
    cfg.custom_hooks = [dict(type="mim_plugins.CorruptImageHook", max_share=0.2)]
    return cfg


def test_stopped_run_on_a_mixture_resumes_exactly(config):
    weights, seen = run(config)
    assert len(seen) == 2 * (18 // 4)
    resumed, pieces = run_in_pieces(config, [2, 5])
    assert same(resumed, weights)
    assert sorted(set(pieces)) == sorted(set(seen))
    listed = Path(config.work_dir, "corrupt_images.txt").read_text()
    assert listed.endswith("a.tar::a/1.png\n")
