import pytest
from tiny_run import MRMAE, run, run_in_pieces, same, tiny_config, write_images

from mim_plugins.datasets import UnlabeledImageFolder


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path / "images")
    return tmp_path


@pytest.mark.parametrize(("workers", "sampler"), [(0, "InfiniteSampler"), (2, "DefaultSampler")])
def test_stopped_run_resumes_exactly(folder, workers, sampler):
    settings = dict(model=MRMAE, by_epoch=False, workers=workers)
    whole, pieces = (tiny_config(folder, name, **settings) for name in ("whole", "pieces"))
    whole.train_dataloader.sampler.type = pieces.train_dataloader.sampler.type = sampler
    weights, seen = run(whole)
    resumed, seen_in_pieces = run_in_pieces(pieces, (2, 5))
    assert seen_in_pieces == seen
    assert len({entry[3] for entry in seen}) == 6
    assert same(weights, resumed)


def test_resuming_reads_no_past_image(folder, monkeypatch):
    cfg = tiny_config(folder, "run", by_epoch=False)
    run(cfg, stop_after=4)
    read = []
    original = UnlabeledImageFolder.__getitem__
    monkeypatch.setattr(
        UnlabeledImageFolder,
        "__getitem__",
        lambda self, index: read.append(int(index)) or original(self, index),
    )
    run(cfg, resume=True)
    assert len(read) == 2 * 4
