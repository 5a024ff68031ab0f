from pathlib import Path

import pytest

from mim_plugins.cli.training import prepare_config, train_arguments
from mim_plugins.errors import ConfigError

CONFIG = """
train_cfg = dict(max_epochs=2)
val_cfg = dict()
val_dataloader = dict(batch_size=2)
val_evaluator = []
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1.0))
load_from = 'weights.pth'
"""


@pytest.fixture
def prepared(tmp_path):
    """Return a function that prepares the config with changed arguments."""
    (tmp_path / "run.py").write_text(CONFIG)

    def prepare(**changes):
        args = train_arguments(tmp_path / "run.py", tmp_path / "work")
        vars(args).update(changes)
        return prepare_config(args)

    return prepare


def test_arguments_of_a_run_name_any_config_and_folder():
    args = train_arguments(Path("-run.py"), Path("-work"), overwrite=True, resume=True)
    assert (args.config, args.work_dir) == ("-run.py", "-work")
    assert (args.overwrite, args.resume) == (True, "auto")
    args = train_arguments(Path("run.py"), Path("work"))
    assert (args.overwrite, args.resume) == (False, None)


def test_without_options_the_config_is_that_of_the_file(prepared, tmp_path):
    cfg = prepared()
    assert cfg.work_dir == str(tmp_path / "work")
    assert cfg.val_dataloader.batch_size == 2
    assert cfg.optim_wrapper.type == "OptimWrapper"
    assert (cfg.load_from, cfg.get("resume")) == ("weights.pth", None)


def test_validation_and_precision_are_changed_by_flags(prepared):
    cfg = prepared(no_validate=True, amp=True)
    assert cfg.val_cfg is cfg.val_dataloader is cfg.val_evaluator is None
    assert cfg.optim_wrapper.type == "AmpOptimWrapper"
    assert cfg.optim_wrapper.optimizer.lr == 1.0


@pytest.mark.parametrize("entry", ["optim_wrapper", "train_cfg"])
@pytest.mark.parametrize("flag", ["amp", "keep_global_batch"])
def test_flag_of_a_missing_entry_is_one_line(prepared, tmp_path, flag, entry):
    text = CONFIG.replace(f"\n{entry} = ", f"\n{entry} = None and ")
    (tmp_path / "run.py").write_text(text)
    with pytest.raises(ConfigError, match=rf"^--{flag.replace('_', '-')}: {entry}=None must be"):
        prepared(**{flag: True})


def test_resume_continues_from_a_file_or_the_newest_checkpoint(prepared, tmp_path):
    cfg = prepared(resume="a.pth")
    assert (cfg.resume, cfg.load_from) == (True, "a.pth")
    cfg = prepared(resume="auto")  # there is no checkpoint yet
    assert (cfg.get("resume"), cfg.load_from) == (None, "weights.pth")
    (tmp_path / "work").mkdir()
    (tmp_path / "work/last_checkpoint").write_text("epoch_1.pth")
    cfg = prepared(resume="auto")
    assert (cfg.resume, cfg.load_from) == (True, None)


def test_flags_that_change_settings_are_printed_by_one_process(prepared, monkeypatch, capsys):
    for rank, lines in (("0", 1), ("1", 0)):
        monkeypatch.setenv("RANK", rank)
        assert prepared(epochs=7).train_cfg.max_epochs == 7
        assert len(capsys.readouterr().out.splitlines()) == lines
