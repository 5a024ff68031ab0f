import argparse
import collections
import copy
import functools
import random

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from mmengine.runner import Runner
from tiny_run import toy_runner

from mim_plugins.checkpoints import plain_data_only
from mim_plugins.cli import ConsoleRunner
from mim_plugins.errors import CheckpointError

RECORD = np.array([(1, 3, "raise SystemExit")], "<i8,<i8,<U16")[0]

PARAMETER = torch.nn.Parameter(torch.zeros(2))


class Text(str):
    pass


class Mapping(dict):
    pass


STRANGE = [
    None, True, 7, -1, 1.5, 10**30, float("nan"), "text", b"bytes", 1j, [], {}, (), {1, 2},
    ["a"], {"a": "b"}, [None], np.float64(2), np.int64(2), np.bool_(True), np.str_("text"), RECORD,
    np.zeros(2), np.array([{}], dtype=object), Text("text"), Mapping(epoch=1, iter=1),
    collections.Counter("a"), collections.defaultdict(int), collections.OrderedDict(a=1),
    argparse.Namespace(epoch=1), torch.Size([1]), torch.zeros(2), torch.zeros(3, 4),
    PARAMETER, torch.zeros(2).to_sparse(), torch.zeros(2, device="meta"),
    torch.float32, HistoryBuffer(), lambda *_: None, print,
]  # fmt: skip


def places(value, path=()):
    """Yield the paths of keys to all parts of a nested value."""
    yield path
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from places(entry, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            yield from places(entry, (*path, index))


def replaced(value, path, new):
    """Return a copy of ``value`` that shares all parts except those along ``path``."""
    if not path:
        return new(value)
    copied = list(value) if isinstance(value, tuple) else copy.copy(value)
    copied[path[0]] = replaced(value[path[0]], path[1:], new)
    return tuple(copied) if isinstance(value, tuple) else copied


def changes(content):
    """Yield contents with one part replaced by another type or nesting, or removed."""
    for path in places(content):
        for strange in STRANGE:
            yield path, replaced(content, path, lambda _, new=strange: new)
        for nest in (lambda v: [v], lambda v: (v,), lambda v: {"a": v}, lambda v: {0: v}):
            yield path, replaced(content, path, nest)
        if path and isinstance(path[-1], str):
            parent = replaced(content, path[:-1], copy.copy)
            inner = parent
            for key in path[:-1]:
                inner = inner[key]
            del inner[path[-1]]
            yield path, parent


def schedule():
    return [
        dict(type="LinearLR", start_factor=0.1, end=2, by_epoch=False),
        dict(type="CosineAnnealingLR", begin=2, T_max=4, by_epoch=False),
    ]


def adamw_runner(folder, **changes):
    runner = toy_runner(folder, iterations=3, param_scheduler=schedule(), **changes)
    runner.optim_wrapper["optimizer"] = dict(type="AdamW", lr=0.1)
    return runner


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    runner = adamw_runner(folder, checkpoint=dict(max_keep_ckpts=1))
    runner.call_hook = functools.partial(note_score, runner, runner.call_hook)
    runner.train()
    with plain_data_only():
        return torch.load(folder / "iter_3.pth")


def note_score(runner, call_hook, name, **kwargs):
    runner.message_hub.update_info("best_score", np.float64(0.5))
    runner.message_hub.update_info("best_ckpt", "best_acc.pth")
    call_hook(name, **kwargs)


class Resumed:
    """Runner that resumes repeatedly from given content instead of a file."""

    def __init__(self, folder, monkeypatch):
        self.content = None
        monkeypatch.setattr(
            "mmengine.runner.runner._load_checkpoint",
            lambda *_, **__: copy.deepcopy(self.content),
        )
        self.runner = adamw_runner(folder, runner=ConsoleRunner, resume=True)
        self.schedule = self.runner.param_schedulers
        self.runner._train_loop = self.runner.build_train_loop(self.runner._train_loop)
        self.runner.logger.setLevel("CRITICAL")

    def go_on(self, content):
        """Resume and take a step."""
        runner, self.content = self.runner, content
        runner.optim_wrapper = runner.build_optim_wrapper(
            dict(optimizer=dict(type="AdamW", lr=0.1))
        )
        runner.param_schedulers = runner.build_param_scheduler(self.schedule)
        runner.resume("x.pth")
        runner.call_hook("before_train")
        batch = dict(inputs=[torch.ones(1), torch.zeros(1)], data_samples=[None, None])
        runner.model.train_step(batch, runner.optim_wrapper)
        for scheduler in runner.param_schedulers:
            scheduler.step()
        return runner


def same_type(content, changed, path):
    for key in path:
        if not isinstance(changed, (dict, list, tuple)) or (
            isinstance(changed, dict) and key not in changed
        ):
            return False
        content, changed = content[key], changed[key]
    return type(content) is type(changed) and not isinstance(content, (dict, list, tuple))


def test_any_changed_type_is_one_line_or_harmless(tmp_path, content, monkeypatch):
    """Even types without an error, such as None for a bool, must not end in a traceback."""
    resumed = Resumed(tmp_path, monkeypatch)
    refused = accepted = 0
    draw = random.Random(0)  # a sample of the 4900 changes, all of which pass
    for path, changed in changes(content):
        if draw.random() > 0.3 or same_type(content, changed, path):
            continue
        try:
            resumed.go_on(changed)
        except CheckpointError as error:
            refused += 1
            message = str(error)
        except BaseException as error:
            raise AssertionError(f"{path} ended in a traceback") from error
        else:
            accepted += 1
            continue
        assert "\n" not in message, path
        assert message.startswith("'"), path
    assert refused > 5 * accepted > 0
    assert resumed.go_on(content).iter == 3


@pytest.mark.parametrize("runner", [Runner, ConsoleRunner])
@pytest.mark.parametrize("how", ["resume", "auto", "load_from"])
def test_object_instead_of_meta_runs_no_code(tmp_path, content, how, runner):
    code = f"open({str(tmp_path / 'executed')!r}, 'w')"
    record = np.array([(1, 3, code, "config")], f"<i8,<i8,<U{len(code)},<U6")
    record.dtype.names = ("epoch", "iter", "config", "x")
    (tmp_path / "run").mkdir()
    file = tmp_path / "run/iter_3.pth"
    torch.save(content | dict(meta=Pickled(record[0])), file)
    resumed = adamw_runner(
        tmp_path / "run",
        runner=runner,
        resume=how != "load_from",
        load_from=None if how == "auto" else str(file),
    )
    with pytest.raises(CheckpointError, match="NumPy type that is not a number"):
        resumed.train()
    assert not (tmp_path / "executed").exists()


class Pickled:
    """Pickled object without parts that are rejected because of NumPy's types."""

    def __init__(self, record):
        self.record = record

    def __reduce__(self):
        scalar = np.float64(0).__reduce__()[0]
        return scalar, (PickledType(self.record.dtype.descr), self.record.tobytes())


class PickledType:
    def __init__(self, description):
        self.description = description

    def __reduce__(self):
        return np.dtype, (self.description,)


@pytest.mark.parametrize("meta", [dict(config="raise SystemExit"), RECORD, argparse.Namespace(a=1)])
def test_weights_are_loaded_and_other_content_is_dropped(tmp_path, content, meta):
    runner = adamw_runner(tmp_path, runner=ConsoleRunner)
    checkpoint = content | dict(meta=meta, args=argparse.Namespace(lr=1.0), epoch=np.int64(3))
    runner.call_hook("after_load_checkpoint", checkpoint=checkpoint)
    assert "args" not in checkpoint
    assert checkpoint.get("meta", {}) == {}
    assert checkpoint["epoch"] == 3
    assert checkpoint["state_dict"] is content["state_dict"]


@pytest.mark.parametrize("strange", [s for s in STRANGE if type(s) is not torch.Tensor])
@pytest.mark.parametrize("key", ["state_dict", "ema_state_dict"])
def test_loaded_weights_must_be_named_tensors(tmp_path, content, key, strange):
    runner = adamw_runner(tmp_path, runner=ConsoleRunner)
    for weights in (strange, {"weight": strange}, {7: torch.zeros(2)}, ["weight"]):
        if isinstance(weights, dict) and (not weights or weights.get("weight") is PARAMETER):
            continue
        with pytest.raises(CheckpointError, match=f"cannot be loaded: .*{key}"):
            runner.call_hook("after_load_checkpoint", checkpoint=content | {key: weights})


def test_users_can_disable_the_checks(tmp_path, content, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    runner = adamw_runner(tmp_path, runner=ConsoleRunner)
    checkpoint = content | dict(meta=dict(config="raise SystemExit", args=argparse.Namespace()))
    runner.call_hook("after_load_checkpoint", checkpoint=checkpoint)
    assert list(checkpoint["meta"]) == ["args"]


@OPTIM_WRAPPERS.register_module(force=True)
class ScalingWrapper(OptimWrapper):
    """Stores its scaler as AmpOptimWrapper does, which needs a GPU."""

    def __init__(self, enabled, **kwargs):
        super().__init__(**kwargs)
        self.loss_scaler = torch.amp.GradScaler("cpu", enabled=enabled)

    def state_dict(self):
        return super().state_dict() | dict(loss_scaler=self.loss_scaler.state_dict())

    def load_state_dict(self, state_dict):
        if "loss_scaler" in state_dict:
            self.loss_scaler.load_state_dict(state_dict.pop("loss_scaler"))
        super().load_state_dict(state_dict)


@pytest.mark.parametrize("before", [False, True, None])
@pytest.mark.parametrize("after", [False, True, None])
def test_runs_with_and_without_loss_scaler_resume_each_other(tmp_path, before, after):
    """For None, the wrapper has no scaler, as in float32."""
    for enabled, iterations in ((before, 1), (after, 2)):
        runner = toy_runner(tmp_path, iterations=iterations, runner=ConsoleRunner,
                            resume=iterations > 1)  # fmt: skip
        runner.optim_wrapper["optimizer"] = dict(type="AdamW", lr=0.1, fused=enabled is not True)
        if enabled is not None:
            runner.optim_wrapper.update(type="ScalingWrapper", enabled=enabled)
        runner.train()
    assert runner.iter == 2
    assert torch.load(tmp_path / "iter_2.pth", weights_only=False)["meta"]["iter"] == 2
