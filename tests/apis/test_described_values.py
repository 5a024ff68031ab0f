"""Values of configs in descriptions."""

import numpy as np
import pytest

from mim_plugins.apis.described_values import (
    check_pipelines,
    described_numbers,
    described_pixels,
    described_sides,
    plain,
)
from mim_plugins.checkpoints.literal_config import COMPUTED
from mim_plugins.errors import CheckpointError


def test_numbers_of_numpy_become_plain_at_any_depth():
    given = dict(a=[np.float32(0.5), (np.int64(2), "x")], b=np.array([[1.0], [2.0]]), c=None)
    found = plain(given)
    assert found == dict(a=[0.5, (2, "x")], b=[[1.0], [2.0]], c=None)
    assert type(found["a"][0]) is float
    assert type(found["a"][1][0]) is int


def test_sides_are_a_number_or_a_pair():
    assert described_sides("img_size", 32) == described_sides("img_size", [32, 32]) == (32, 32)
    assert described_sides("img_size", (16, 32)) == (16, 32)
    for wrong in (None, "32", [1, 2, 3], [], True, [32, 0], [32, -1], [32, "a"], 2.5, COMPUTED):
        with pytest.raises(CheckpointError, match="the config's img_size="):
            described_sides("img_size", wrong)
    with pytest.raises(CheckpointError, match="in_channels=0 is not a positive number; write it"):
        described_pixels("in_channels", 0)


def test_numbers_have_a_default():
    assert described_numbers("mean", None, 0.0) == (0.0,)
    assert described_numbers("mean", [1, 2.5], 0.0) == (1, 2.5)
    for wrong in ([], "12", 3.0, [True], [COMPUTED], ["1"]):
        with pytest.raises(CheckpointError, match=r"the config's mean=.* is not a list of numbers"):
            described_numbers("mean", wrong, 0.0)


@pytest.mark.parametrize(
    ("step", "is_known"),
    [
        (dict(type="A", fill=COMPUTED), True),
        (dict(type=COMPUTED), False),
        (dict(type="NumpyToPIL", to_rgb=COMPUTED), False),
        (COMPUTED, False),
    ],
)
def test_transforms_that_decide_the_order_must_be_known(step, is_known):
    inner = dict(type="D", pipeline=[dict(type="LoadImage"), step], indices=COMPUTED)
    config = dict(test_dataloader=dict(dataset=dict(type="R", datasets=[inner]), num_workers=1))
    if is_known:
        check_pipelines(config)
        return
    with pytest.raises(CheckpointError, match=r"test_dataloader=\(computed\) is not a loader"):
        check_pipelines(config)
