import pytest
from sharded_runs import WithBlocks, toy

from mim_plugins.errors import ConfigError


class WithTiedBlocks(WithBlocks):
    """Model whose two blocks have the same weight."""

    def __init__(self):
        super().__init__()
        self.blocks[1].weight = self.blocks[0].weight


@pytest.mark.usefixtures("_one_process")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(wrapper=dict(param_dtype="float16")), "param_dtype='float16' must be"),
        (dict(wrapper=dict(reshard_after_forward=1)), "reshard_after_forward=1 must be"),
        (dict(wrapper=dict(param_dtype="bfloat16")), "needs optim_wrapper.type='AmpOptimWrapper'"),
        (
            dict(hooks=[dict(type="EMAHook")]),
            "does not support hooks that copy the model: remove EMA",
        ),
        (
            dict(optimizer=dict(type="mim_plugins.ShardedOptimizer", optimizer_type="SGD")),
            "shards the optimizer state itself: set",
        ),
        (dict(checkpoint=dict(type="CheckpointHook")), "needs default_hooks.checkpoint.type="),
        (dict(model=WithTiedBlocks), "share with other parts: blocks.0.weight and blocks.1.weight"),
    ],
)
def test_what_is_not_supported_is_an_error(tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        toy(tmp_path, **settings).train()
