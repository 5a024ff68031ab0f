import copy

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mim_plugins.checkpoints import check_training_state
from mim_plugins.errors import CheckpointError

GROUP = dict(lr=0.1, initial_lr=0.1, betas=(0.9, 0.95), params=[0])
SCHEDULE = dict(
    param_name="lr", begin=0, end=4, by_epoch=False, last_step=1, _global_step=2,
    base_values=[0.1], _last_value=[0.05], T_max=4,
)  # fmt: skip
CONTENT = dict(
    meta=dict(
        epoch=1, iter=3, seed=7, cfg="a = 1", optimizer_type="AdamW", config=object(),
        dataset_meta=dict(classes=("a", "b"), palette=np.zeros((2, 3), "u1")),
    ),
    state_dict=dict(weight=torch.zeros(2)),
    ema_state_dict=dict(steps=torch.tensor(3)),
    message_hub=dict(
        log_scalars=dict(loss=HistoryBuffer()),
        runtime_info=dict(
            epoch=1, last_ckpt="a.pth", best_ckpt="b.pth", best_score=np.float64(1),
            keep_ckpt_ids=[1, 2], position_in_epoch=dict(epoch=1, batches=2, of=3), other=[None],
        ),
        resumed_keys=dict(loss=True),
    ),
    optimizer=dict(
        param_groups=[GROUP],
        base_param_settings=dict(lr=0.1, params=torch.zeros(1)),
        state={0: dict(step=torch.tensor(3.0), exp_avg=torch.zeros(2), momentum_buffer=None)},
        loss_scaler=dict(scale=2.0),
    ),
    param_schedulers=[SCHEDULE],
    other=dict(of_a_hook=[1, torch.zeros(2)]),
)  # fmt: skip


def changed(*keys, to):
    content = copy.deepcopy(CONTENT)
    part = content
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = to
    return content


def test_a_state_that_mmengine_stores_is_accepted():
    check_training_state(CONTENT, "x")
    several = dict(encoder=CONTENT["optimizer"], decoder=CONTENT["optimizer"])
    schedules = dict(encoder=[SCHEDULE], decoder=[])
    meta = CONTENT["meta"] | dict(updates=dict(encoder=3, decoder=None))
    content = CONTENT | dict(meta=meta, optimizer=several, param_schedulers=schedules)
    check_training_state(content, "x")


@pytest.mark.parametrize("key", ["meta", "state_dict", "message_hub", "optimizer"])
def test_a_file_that_lacks_a_part_is_refused(key):
    content = {name: value for name, value in CONTENT.items() if name != key}
    with pytest.raises(CheckpointError, match=f"'x' cannot be resumed from: it has no '{key}'"):
        check_training_state(content, "x")


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("meta", "iter"), -1, "iter is int -1, not a count"),
        (("meta", "iter"), np.int64(3), "iter is numpy.int64, not a count"),
        (("meta", "epoch"), True, "epoch is bool True, not a count"),
        (("meta", "seed"), -1, "seed is int -1"),
        (("meta", "seed"), 2**32, "seed is int"),
        (("meta", "cfg"), b"a = 1", "cfg is bytes, not str"),
        (("meta", "updates"), 1.5, "updates is float"),
        (("meta", "updates"), dict(encoder=1, decoder="2"), "updates is str"),
        (("meta", "dataset_meta"), np.zeros(1, "<i8,<i8")[0], "dataset_meta is numpy.void"),
        (("state_dict", "weight"), np.zeros(2), "state_dict.weight is numpy.ndarray, not Tensor"),
        (("state_dict", 3), torch.zeros(2), "a name in checkpoint.state_dict is int 3"),
        (("message_hub", "log_scalars", "loss"), [1.0], "not HistoryBuffer"),
        (("message_hub", "resumed_keys", "loss"), 1, "not bool"),
        (("message_hub", "runtime_info", "keep_ckpt_ids"), ["../a"], r"keep_ckpt_ids\[0\] is str"),
        (("message_hub", "runtime_info", "keep_ckpt_ids"), (1, 2), "keep_ckpt_ids is tuple"),
        (("message_hub", "runtime_info", "best_ckpt"), ["a.pth"], "best_ckpt is list"),
        (("message_hub", "runtime_info", "best_ckpt_acc"), None, "best_ckpt_acc is None"),
        (("message_hub", "runtime_info", "best_score"), "3", "best_score is str"),
        (("message_hub", "runtime_info", "position_in_epoch"), dict(of="3"), r"\[0\] is None"),
        (("optimizer", "param_groups"), (GROUP,), "param_groups is tuple, not list"),
        (("optimizer", "param_groups", 0, "lr"), None, r"param_groups\[0\].lr is None"),
        (("optimizer", "param_groups", 0, "lr"), float("inf"), "lr is not a finite number"),
        (("optimizer", "param_groups", 0, "betas"), (np.float64(0), 1), r"betas\[0\] is numpy"),
        (("optimizer", "param_groups", 0, "params"), ["0"], r"params\[0\] is str"),
        (("optimizer", "state", 0, "step"), "3", "step is str"),
        (("optimizer", "state", 0, "step"), torch.zeros(2), "step is not a finite number"),
        (("optimizer", "state", 0, "exp_avg"), torch.zeros(2, requires_grad=True), "a gradient"),
        (("optimizer", "state", 0, "exp_avg"), torch.zeros(2, device="meta"), "on the meta device"),
        (("optimizer", "state", 0, "exp_avg"), torch.nn.Parameter(torch.zeros(2)), "Parameter"),
        (("optimizer", "state", "0"), {}, "a key in checkpoint.optimizer.state is str"),
        (("param_schedulers", 0, "step"), 3, "step would replace a scheduler's method"),
        (("param_schedulers", 0, "optimizer"), {}, "optimizer would replace"),
        (("param_schedulers", 0, "by_epoch"), 0, "by_epoch is int 0, not bool"),
        (("param_schedulers", 0, "base_values"), [None], r"base_values\[0\] is None"),
        (("param_schedulers", 0), [("begin", 0)], r"param_schedulers\[0\] is list"),
        (("other", "of_a_hook"), {1}, "of_a_hook is set, which is not plain data"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_named_with_its_place(keys, value, message):
    with pytest.raises(CheckpointError, match=f"'x' cannot be resumed from: .*{message}") as caught:
        check_training_state(changed(*keys, to=value), "x")
    assert "\n" not in str(caught.value)
