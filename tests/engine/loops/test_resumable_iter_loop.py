import pytest
from tiny_run import MRMAE, run, run_in_pieces, same, tiny_config


@pytest.mark.parametrize(("workers", "sampler"), [(0, "InfiniteSampler"), (1, "DefaultSampler")])
def test_stopped_run_resumes_exactly_and_reads_no_image_twice(folder, read, workers, sampler):
    settings = dict(model=MRMAE, by_epoch=False, workers=workers)
    settings["train_dataloader.sampler.type"] = sampler
    weights, seen = run(tiny_config(folder, "whole", **settings))
    read.clear()
    resumed, seen_in_pieces = run_in_pieces(tiny_config(folder, "pieces", **settings), (2, 5))
    assert seen_in_pieces == seen
    assert len({entry[3] for entry in seen}) == 6
    assert same(weights, resumed)
    assert len(read) == (0 if workers else 6 * 4)
