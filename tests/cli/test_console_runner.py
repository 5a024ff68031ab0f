import io
import logging
import os
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from faulty_server import faulty_server, head
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope

from mim_plugins.algorithms import PretrainingModel
from mim_plugins.cli import ConsoleRunner
from mim_plugins.errors import CheckpointError, ConfigError


class Nothing(BaseModel):
    def forward(self, x, mode="tensor"):
        return x


def build(folder, my_entry=1):
    settings = dict(work_dir=str(folder), default_scope="mmengine", my_entry=my_entry)
    cfg = Config(settings, filename=__file__)  # whose name the config in the folder has
    with DefaultScope.overwrite_default_scope("mmengine"):
        return ConsoleRunner(
            Nothing(), str(folder), default_scope=None, experiment_name=folder.name, cfg=cfg
        )


def test_environment_config_and_hooks_are_only_in_the_log_file(tmp_path, capsys):
    runner = build(tmp_path)
    runner.logger.info("Hooks will be executed in the following order:\nhere they are")
    runner.logger.warning('"HardDiskBackend" is the alias of "LocalBackend"')
    runner.logger.warning("the recipe's learning rate does not fit")
    console = capsys.readouterr().out
    for handler in runner.logger.handlers:
        handler.flush()
    file = Path(runner.logger.log_file).read_text()

    for hidden in ("System environment", torch.__version__, "my_entry", "here they are", "alias"):
        assert hidden in file
        assert hidden not in console
    for shown in (runner.logger.log_file, "does not fit"):
        assert shown in file
        assert shown in console


def test_none_disables_any_default_hook(tmp_path):
    runner = build(tmp_path)
    runner._hooks = []
    runner.register_default_hooks(dict(ema=dict(type="EMAHook"), timer=None, loss_guard=None))
    assert {"EMAHook", "CheckpointHook"} <= {type(hook).__name__ for hook in runner.hooks}
    assert "IterTimerHook" not in {type(hook).__name__ for hook in runner.hooks}


def test_other_log_levels_behave_as_in_mmengine(tmp_path):
    console, file = build(tmp_path).logger.handlers
    assert isinstance(file, logging.FileHandler)
    assert console.level == file.level == logging.INFO
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "broken", (), None)
    assert console.filter(record)


def test_warnings_without_possible_action_are_hidden(tmp_path):
    ignored = (
        "Setting MKL_NUM_THREADS environment variable for each process to be 1 in default",
        "'pin_memory' argument is set as true but no accelerator is found, then",
        "Detected call of `scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0",
        "``build_loss`` would be deprecated soon, please use ``mmseg.registry.MODELS.build()`` ",
        "Default ``avg_non_ignore`` is False, if you would like to ignore the certain label",
        "`reduce_zero_label` will be deprecated, if you would like to ignore the zero label",
        "The draw is False, it means that the hook for visualization will not take effect.",
    )
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        build(tmp_path)
        for message in (*ignored, "This DataLoader will create 8 worker processes"):
            warnings.warn(message, stacklevel=1)
    assert [str(w.message)[:15] for w in shown] == ["This DataLoader"]


@pytest.mark.parametrize("first", ["before_train_epoch", "before_val"])
def test_training_begins_with_the_first_epoch_or_validation(tmp_path, first):
    """A resumed run may validate before its first epoch."""
    runner = build(tmp_path)
    runner.hooks.clear()
    for name in ("before_run", "before_train"):
        runner.call_hook(name)
        assert not runner.has_begun()
    for name in (first, "after_train"):
        runner.call_hook(name)
        assert runner.has_begun()


class Malicious:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_code_in_a_checkpoint_never_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "mmengine.runner.runner._load_checkpoint",
        lambda file, map_location: torch.load(file, map_location, weights_only=False),
    )
    runner = build(tmp_path / "run")
    executed = tmp_path / "executed"
    torch.save(dict(state_dict={}, args=Malicious(executed)), tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"more than weights.*mkdir"):
        runner.load_checkpoint(str(tmp_path / "x.pth"))
    with monkeypatch.context() as patch:  # like a file replaced in between, or a URL
        patch.setattr("mim_plugins.cli.console_runner.read_tensors", lambda _: None)
        with pytest.raises(pickle.UnpicklingError, match="mkdir"):
            runner.load_checkpoint(str(tmp_path / "x.pth"))
    assert not executed.exists()

    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    runner.load_checkpoint(str(tmp_path / "x.pth"))
    assert executed.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"PK\3\4" + bytes(500), "corrupt"), (b"<html>", "web page")],
)
def test_unreadable_weights_are_reported_in_one_line(tmp_path, content, message):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"x\.pth.*{message}") as caught:
        build(tmp_path / "run").load_checkpoint(str(tmp_path / "x.pth"))
    assert "\n" not in str(caught.value)


def test_weights_from_a_url_are_checked_after_the_download(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path / "hub"))
    runner = build(tmp_path / "run")
    runner.model.part = torch.nn.Linear(40, 1)
    with io.BytesIO() as file:
        torch.save(dict(state_dict=runner.model.state_dict()), file)
        content = file.getvalue()
    changed = bytearray(content)
    changed[content.index(b"archive/data/0") + 80] ^= 1
    with faulty_server() as server:
        for name, body in (("good", content), ("changed", bytes(changed))):
            server.answers[:] = [server.sends(head(Content_Length=len(body)), body)]
            address = f"{server.address}/{name}.pth"
            if name == "good":
                runner.load_checkpoint(address)
                continue
            with pytest.raises(CheckpointError, match=rf"{name}\S*\.pth.* is corrupt"):
                runner.load_checkpoint(address)
        assert len(server.requests) == 2


def test_action_waits_for_the_first_iteration(tmp_path):
    runner, calls = build(tmp_path), []
    runner.hooks.clear()
    for number in (1, 2):
        runner.after_first_iteration(lambda number=number: calls.append(number))
    for name in ("before_run", "before_train", "before_train_epoch", "before_train_iter"):
        runner.call_hook(name)
    assert calls == []
    for _ in range(2):
        runner.call_hook("after_train_iter")
    assert calls == [2, 1]


@pytest.mark.parametrize("name", ["last_checkpoint", "epoch_3.pth", "interrupted.pth"])
def test_config_of_checkpoints_is_kept_until_an_iteration(tmp_path, name):
    config = tmp_path / Path(__file__).name
    runner = build(tmp_path)
    runner.write_config(runner.cfg)
    before = config.read_text()
    (tmp_path / name).touch()
    runner = build(tmp_path, my_entry=2)
    runner.write_config(runner.cfg)
    runner.hooks.clear()
    assert config.read_text() == before
    runner.call_hook("before_train_epoch")
    assert config.read_text() == before
    runner.call_hook("after_train_iter")
    assert "my_entry = 2" in config.read_text()


@pytest.mark.parametrize("name", ["run.json", "run.yaml", "run.py"])
def test_config_of_any_format_is_written_as_python(tmp_path, name):
    (tmp_path / name).write_text("")
    cfg = Config(dict(size=(1, float("inf"))), filename=tmp_path / name)
    build(tmp_path / "work").write_config(cfg)
    assert Config.fromfile(tmp_path / "work/run.py").to_dict() == cfg.to_dict()


@pytest.mark.parametrize("value", ["yes", ["inductor"], 1.5])
def test_a_compile_option_of_another_type_is_refused(tmp_path, value):
    runner = build(tmp_path)
    runner.cfg.compile = value
    runner.model = PretrainingModel(dict(type="ImgDataPreprocessor"))

    with pytest.raises(ConfigError, match=r"compile=.* must be True, False or a dict"):
        runner._maybe_compile("train_step")
