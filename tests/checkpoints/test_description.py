import json

import pytest

from mim_plugins.checkpoints.description import Description, Preprocessing, parse_description
from mim_plugins.errors import CheckpointError

IMAGES = Preprocessing(
    size=(32, 64),
    resize=(36, 73),
    interpolation="bicubic",
    backend="pillow",
    channels=4,
    channel_order="any",
    mean=(1.0, 2.0, 3.0, 4.0),
    std=(5.0,),
    bands=dict(channels=4, fill=[0.0, 0.0, 0.0, 1.0]),
)
DESCRIPTION = Description(
    dict(type="MaskedSwin", arch=dict(depths=[1, 1])), IMAGES, "MixMAE", "epoch_1.pth", "0" * 64
)


def test_text_gives_the_description_again():
    assert parse_description(DESCRIPTION.to_json(), "a") == DESCRIPTION


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (dict(channels=3), "does not fit 3 channels"),
        (dict(mean=(1.0, 2.0)), "mean has 2 values for 4 channels"),
        (dict(std=(0.0,)), "std must be above 0"),
        (dict(resize=(36, 63)), r"size \[32, 64\] exceeds resize \[36, 63\]"),
        (dict(channel_order="rgb"), "does not fit 4"),
        (dict(bands=dict(channels=4, loader="a")), "has only channels, fill, nodata and axes"),
        (dict(bands=dict(fill=0)), "missing 1 required.*'channels'"),
        (dict(bands=dict(channels=4, fill=[1, 2])), r"fill=\[1, 2\] must be one finite number"),
        (dict(bands=dict(channels=4, fill="zero")), "fill='zero' must be one finite number"),
        (dict(bands=dict(channels=4, axes="middle")), "axes='middle' must be one of"),
        (dict(bands=dict(channels=4, nodata="none")), "nodata='none' must be a number"),
    ],
)
def test_entries_that_contradict_each_other_are_refused(change, reason):
    with pytest.raises(CheckpointError, match=reason):
        DESCRIPTION._replace(preprocessing=IMAGES._replace(**change)).to_json()


def test_a_later_version_asks_for_an_upgrade():
    content = json.loads(DESCRIPTION.to_json()) | dict(version=2)
    with pytest.raises(CheckpointError, match="has version 2, and this mim_plugins reads up to 1"):
        parse_description(json.dumps(content), "a")
