"""Parts of the quick start, without any training."""

import importlib
import io
import os
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmpretrain.registry import DATASETS, MODELS

import mim_plugins  # noqa: F401  registers everything

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs/quickstart"


@pytest.fixture
def load(monkeypatch):
    """Import a module of tools/dev/quickstart, a folder of scripts."""
    monkeypatch.syspath_prepend(str(ROOT / "tools/dev/quickstart"))

    def load_module(name: str):
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return load_module


def read_list(file: Path) -> list[str]:
    return file.read_text().splitlines()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Write the digits with few labels once."""
    folder = tmp_path_factory.mktemp("digits")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tools/dev/quickstart"))
        importlib.import_module("digits").write_digits(folder, labels_per_class=5, seeds=(0, 1))
    return folder


def test_splits_are_disjoint_and_depend_on_the_seed(load, written, tmp_path):
    digits = load("digits")
    digits.write_digits(tmp_path, labels_per_class=5, seeds=(1,))
    for file in (digits.label_file(1), "test.txt"):
        assert (tmp_path / file).read_text() == (written / file).read_text()

    images = sorted((written / "images").rglob("*.png"))
    test = set(read_list(written / "test.txt"))
    labeled = [read_list(written / digits.label_file(seed)) for seed in (0, 1)]

    assert len(images) == digits.DIGITS == 1797
    assert len(test) == digits.TEST_DIGITS
    assert labeled[0] != labeled[1]
    for lines in labeled:
        assert not test & set(lines)
        assert sorted(line.split()[1] for line in lines) == [
            str(c) for c in range(10) for _ in "12345"
        ]
    for line in [*test, *labeled[0]]:
        name, label = line.split()
        assert (written / "images" / name).is_file()
        assert name.split("/")[0] == label


def write(text):
    return lambda folder: (folder / "file").write_text(text) and None


def interrupt(folder):
    (folder / "file").write_text("half")
    raise KeyboardInterrupt


def test_interrupted_steps_are_repeated_and_complete_ones_kept(load, tmp_path):
    stages = load("stages")
    first = stages.Stages(tmp_path, [["a"], ["b"]], "code 1")
    first.run("a", "", write("kept"))
    with pytest.raises(KeyboardInterrupt):
        first.run("b", "", interrupt)
    assert first.is_complete("a")
    assert not first.is_complete("b")

    second = stages.Stages(tmp_path, [["a"], ["b"]], "code 1")
    assert (second.run("a", "", interrupt) / "file").read_text() == "kept"
    assert (second.run("b", "", write("whole")) / "file").read_text() == "whole"


def test_all_steps_are_repeated_after_a_complete_run(load, tmp_path):
    stages = load("stages")
    for text in ("old", "new"):
        run = stages.Stages(tmp_path, [["a"], ["b"]], "code 1")
        for name in ("a", "b"):
            assert (run.run(name, "", write(text)) / "file").read_text() == text


def test_changed_code_discards_the_step_and_all_later_ones(load, tmp_path):
    stages = load("stages")
    old = stages.Stages(tmp_path, [["a"], ["b"], ["c"]], "code 1")
    old.run("a", "", write("old"))
    old.run("b", "", write("old"))

    new = stages.Stages(tmp_path, [["a"], ["b"], ["c"]], "code 2")
    new.run("a", "", write("new"))
    assert new.is_complete("a")
    assert not (tmp_path / "b").exists()


EPOCH_LINE = (
    "11/21 05:54:54 - mmengine - INFO - Epoch(train)   [7][14/14]  base_lr: 1.9980e-03 lr:"
    " 1.9980e-03  eta: 0:06:32  time: 0.2348  data_time: 0.0102  loss: 0.6025\n"
)
PARAMETER_PAGE = [
    "backbone.patch_embed.projection.weight - torch.Size([48, 3, 4, 4]): \n",
    "The value is the same before and after calling `init_weights` of MixMAE  \n",
    "11/21 05:54:23 - mmengine - INFO - Hooks will be executed in the following order:\n",
    "(BELOW_NORMAL) LoggerHook   before_train_epoch\n",
    "train_cfg = dict(by_epoch=True, max_epochs=100)\n",
]


def test_only_progress_is_shown(load):
    progress = load("progress")
    shown = progress.progress_of(EPOCH_LINE)
    assert shown.startswith("Epoch(train) [7][14/14] lr:")
    assert "eta: 0:06:32" in shown
    assert "loss: 0.6025" in shown
    assert progress.progress_of("x - Epoch(val) [20][6/6]    accuracy/top1: 82.3\n")
    assert not any(map(progress.progress_of, PARAMETER_PAGE))


def test_training_output_goes_to_the_log(load, tmp_path, capsys):
    progress = load("progress")
    lines = [*PARAMETER_PAGE, EPOCH_LINE]
    command = [sys.executable, "-c", f"print({''.join(lines)!r}, end='')"]
    training = progress.Training("a", command, tmp_path / "log")
    ((done, seconds),) = progress.run_trainings([training])
    assert done is training
    assert 0 < seconds < 60
    assert (tmp_path / "log").read_text() == "".join(lines)
    assert capsys.readouterr().out == f"      {progress.progress_of(EPOCH_LINE)}\n"


def run(progress, program, log):
    list(progress.run_trainings([progress.Training("a", [sys.executable, "-c", program], log)]))


def test_trainings_run_together_up_to_the_number_of_lanes(load, tmp_path, capsys):
    progress = load("progress")
    # each of the first two waits for the other, and the third for the end of one
    program = (
        "import os, pathlib, sys, time; name, other, lanes = sys.argv[1:];"
        " pathlib.Path(name).touch(); end = time.time() + 20;"
        f" print({EPOCH_LINE!r}, flush=True)\n"
        "while not pathlib.Path(other).exists(): assert time.time() < end\n"
        "if name == 'c': assert pathlib.Path('done').exists()\n"
        "print('threads', os.environ['OMP_NUM_THREADS'])"
    )
    trainings = [
        progress.Training(
            name, [sys.executable, "-c", f"import os; os.chdir({str(tmp_path)!r})\n{program}",
                   name, other, "2"], tmp_path / f"{name}.log", threads,
        )
        for name, other, threads in (("a", "b", 3), ("b", "a", 1), ("c", "a", 1))
    ]  # fmt: skip
    names = []
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OMP_NUM_THREADS", raising=False)
        for done, _ in progress.run_trainings(trainings, lanes=2):
            names.append(done.name)
            (tmp_path / "done").touch()
    assert sorted(names) == ["a", "b", "c"]
    assert names[-1] == "c"
    assert (tmp_path / "a.log").read_text().endswith("threads 3\n")
    assert "a: Epoch(train) [7][14/14] eta: 0:06:32" in capsys.readouterr().out


def test_steps_of_a_group_keep_each_other(load, tmp_path):
    stages = load("stages")
    groups = [["a"], ["b", "c"], ["d"]]
    first = stages.Stages(tmp_path, groups, "code")
    for name in ("a", "b", "d"):
        first.run(name, "", write("x"))
    first.run("c", "", write("x"))
    assert first.is_complete("b")
    assert not first.is_complete("d")


def test_failed_training_names_its_log(load, tmp_path):
    progress = load("progress")
    with pytest.raises(progress.StepFailedError, match=r"(?s)no such thing.*/log'"):
        run(progress, "exit('no such thing')", tmp_path / "log")


def test_interrupt_ends_the_training(load, tmp_path, monkeypatch):
    progress = load("progress")

    def interrupt_user(self, text):
        raise KeyboardInterrupt

    monkeypatch.setattr(progress.ProgressLine, "show", interrupt_user)
    program = (
        "import os, time, pathlib; pathlib.Path('pid').write_text(str(os.getpid()));"
        f" print({EPOCH_LINE!r}, flush=True); time.sleep(60)"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(progress, program, tmp_path / "log")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_progress_is_one_line_on_a_terminal(load):
    progress = load("progress")

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    line = progress.ProgressLine(terminal)
    line.show("a" * 500)
    line.show("b")
    line.close()
    assert "\n" not in terminal.getvalue()
    assert terminal.getvalue().endswith("b\r\x1b[K")


def test_table_shows_seeds_means_and_the_winner(load):
    module = load("accuracy_table")
    table = module.result_table({"pre-trained": [90.0, 91.0, 95.0], "scratch": [80.0, 82.0, 84.0]})
    rows = [line.split() for line in table.splitlines()]
    assert rows[1] == ["pre-trained", "90.0", "91.0", "95.0", "92.0"]
    assert rows[2] == ["scratch", "80.0", "82.0", "84.0", "82.0"]
    assert "beats scratch by 10.0 points" in table
    table = module.result_table({"pre-trained": [80.0], "scratch": [81.5]})
    assert "does not beat scratch: -1.5 points" in table


def test_accuracy_is_the_last_one_logged(load, tmp_path):
    module = load("accuracy_table")
    with pytest.raises(ValueError, match="no accuracy"):
        module.read_accuracy(tmp_path)
    folder = tmp_path / "20260101_000000/vis_data"
    folder.mkdir(parents=True)
    (folder / "scalars.json").write_text(
        '{"loss": 1.0, "step": 1}\n{"accuracy/top1": 50.0}\n{"accuracy/top1": 75.5}\n'
    )
    assert module.read_accuracy(tmp_path) == 75.5


def test_pretraining_config_takes_a_step():
    cfg = Config.fromfile(CONFIGS / "mixmae_digits.py")
    model = MODELS.build(cfg.model).train()
    images = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8)
    loss = model(**model.data_preprocessor(dict(inputs=images), True), mode="loss")["loss_rec"]
    loss.backward()
    assert loss.isfinite()


def test_finetuning_config_takes_a_step(written):
    cfg = Config.fromfile(CONFIGS / "finetune_digits.py")
    data = dict(cfg.train_dataloader.dataset.dataset, data_root=str(written))
    dataset = DATASETS.build(data)
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model | dict(data_preprocessor=cfg.data_preprocessor)).train()

    batch = model.data_preprocessor(default_collate([dataset[i] for i in range(4)]), True)
    loss = model(**batch, mode="loss")["loss"]
    loss.backward()

    assert len(dataset) == 50
    assert batch["inputs"].shape == (4, 3, 32, 32)
    assert loss.isfinite()


def test_picture_shows_five_columns_per_pair(load, written, tmp_path):
    cfg = Config.fromfile(CONFIGS / "mixmae_digits.py")
    cfg.data_root = str(written)
    cfg.pretrain_checkpoint = str(tmp_path / "epoch.pth")
    torch.save(MODELS.build(cfg.model).state_dict(), cfg.pretrain_checkpoint)

    columns = load("picture").mixtures_and_reconstructions(cfg, pairs=3).values()

    original_a, original_b, mixture, *_ = columns
    assert [column.shape for column in columns] == [(3, 3, 32, 32)] * 5
    assert ((mixture == original_a) | (mixture == original_b)).all()
    assert 0 <= original_a.min() <= original_a.max() <= 255
