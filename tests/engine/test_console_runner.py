import logging
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope

from mim_plugins.engine import ConsoleRunner


class Nothing(BaseModel):
    def forward(self, x, mode="tensor"):
        return x


def build(folder):
    cfg = Config(dict(work_dir=str(folder), default_scope="mmengine", my_entry=1))
    with DefaultScope.overwrite_default_scope("mmengine"):
        return ConsoleRunner(
            Nothing(), str(folder), default_scope=None, experiment_name=folder.name, cfg=cfg
        )


def test_environment_config_and_hooks_are_in_the_log_file_only(tmp_path, capsys):
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


def test_errors_and_other_levels_are_as_in_mmengine(tmp_path):
    console, file = build(tmp_path).logger.handlers
    assert isinstance(file, logging.FileHandler)
    assert console.level == file.level == logging.INFO
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "broken", (), None)
    assert console.filter(record)
