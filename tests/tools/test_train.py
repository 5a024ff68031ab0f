"""tools/train.py, dist_train.sh and test.py as a user calls them, on tiny models and images."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from disks import small_disk
from free_port import free_port
from image_folders import write_images
from tool_runs import TOOLS, run_process, run_tool

from mim_plugins.cli import WorkDirLock

BACKBONE = dict(
    arch=dict(_delete_=True, embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2)),
    img_size=64,
    window_size=4,
)


@pytest.fixture
def pretrain_config(tmp_path):
    return write_config(
        tmp_path / "tiny_pretrain.py",
        "mixmae/swin_b_600e.py",
        dict(
            model=dict(
                backbone=BACKBONE,
                decoder=dict(embed_dims=16, depth=1, num_heads=2),
            ),
            train_dataloader=dict(
                batch_size=4, num_workers=0, persistent_workers=False, pin_memory=False
            ),
            train_cfg=dict(max_epochs=2),
            default_hooks=dict(logger=dict(interval=1), checkpoint=dict(interval=1)),
        ),
        "train_pipeline = _base_.train_pipeline\n"
        "train_pipeline[0]['scale'] = 64\n"
        "train_dataloader['dataset'] = dict(pipeline=train_pipeline)\n",
    )


@pytest.fixture
def finetune_config(tmp_path):
    loader = dict(batch_size=4, num_workers=0, persistent_workers=False, pin_memory=False)
    return write_config(
        tmp_path / "tiny_finetune.py",
        "mixmae/swin_b_finetune_100e.py",
        dict(
            model=dict(backbone=BACKBONE, head=dict(num_classes=2, in_channels=64)),
            data_preprocessor=dict(num_classes=2),
            train_dataloader=loader,
            val_dataloader=loader,
            test_dataloader=loader,
            train_cfg=dict(max_epochs=1, val_interval=1),
        ),
        "pipeline = _base_.test_pipeline\n"
        "pipeline[1]['scale'] = pipeline[2]['crop_size'] = 64\n"
        "for loader in (train_dataloader, val_dataloader, test_dataloader):\n"
        "    loader['dataset'] = dict(type='CustomDataset', _delete_=True,\n"
        "        data_root='', data_prefix='val', pipeline=pipeline)\n"
        "del loader\n"
        "val_evaluator = test_evaluator = dict(topk=(1,))\n",
    )


def write_config(path, base, settings, more):
    lines = [f"_base_ = {str(TOOLS.parent / 'configs' / base)!r}"]
    lines += [f"{name} = {value!r}" for name, value in settings.items()]
    path.write_text("\n".join(lines) + "\n" + more)
    return path


def train(config, *arguments, code=0):
    return run_tool("train.py", config, *arguments, code=code)


@pytest.fixture
def images(tmp_path):
    return write_images(tmp_path / "images", 8, (70, 90))


@pytest.fixture
def arguments(pretrain_config, images):
    return pretrain_config, "--data-root", images, "--work-dir"


def losses(work_dir):
    (file,) = sorted(Path(work_dir).glob("*/vis_data/scalars.json"))[-1:]
    records = [json.loads(line) for line in file.read_text().splitlines()]
    return [record["loss"] for record in records if "loss" in record]


def state_dict(file):
    return torch.load(file, weights_only=True)["state_dict"]


def test_second_start_resumes_or_overwrites_on_request(tmp_path, arguments):
    folder = tmp_path / "run"
    first = train(*arguments, folder).stdout
    assert "Training on 8 images: global batch 4" in first
    assert "--auto-scale-lr" in first
    assert len(losses(folder)) == 4
    assert all(np.isfinite(losses(folder)))

    before = (folder / "epoch_2.pth").read_bytes()
    line = train(*arguments, folder, code=1).stderr
    for part in (f"'{folder}'", "epoch_2.pth", "--resume", "--overwrite", "--work-dir"):
        assert part in line
    assert (folder / "epoch_2.pth").read_bytes() == before
    with WorkDirLock(folder):
        taken = train(*arguments, folder, "--resume", code=1).stderr
    assert f"is in use by the run of process {os.getpid()} on host" in taken

    longer = ("--cfg-options", "train_cfg.max_epochs=3")
    assert "resumed epoch: 2, iter: 4" in train(*arguments, folder, "--resume", *longer).stdout
    assert (folder / "epoch_3.pth").is_file()

    shorter = ("--cfg-options", "train_cfg.max_epochs=1")
    assert "Training on 8 images" in train(*arguments, folder, "--overwrite", *shorter).stdout
    assert [path.name for path in folder.glob("*.pth")] == ["epoch_1.pth"]
    assert not (folder / "run.lock").exists()


KILLER = """
import os, signal
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class Killer(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 2:  # as on a cluster, workers receive the signal too
            os.killpg(os.getpgid(0), signal.SIGTERM)
"""


def test_signal_exits_with_85_and_the_resumed_run_is_equal(tmp_path, pretrain_config, arguments):
    def run(name, *options, code=0, **variables):
        command = (sys.executable, TOOLS / "train.py", *arguments, tmp_path / name)
        run_process("setsid", "--wait", *command, *options, code=code, **variables)

    plain = pretrain_config.read_text().replace("num_workers=0", "num_workers=1")
    pretrain_config.write_text(plain)
    run("whole")

    (tmp_path / "killer.py").write_text(KILLER)
    pretrain_config.write_text(plain + "custom_imports = dict(imports=['mim_plugins', 'killer'])\n")
    path = f"{TOOLS.parent}:{tmp_path}"
    run("run", "--cfg-options", "default_hooks.run_summary.type=Killer", code=85, PYTHONPATH=path)
    assert (tmp_path / "run/interrupted.pth").is_file()

    pretrain_config.write_text(plain)
    run("run", "--resume")
    assert not (tmp_path / "run/interrupted.pth").exists()
    whole, resumed = (state_dict(tmp_path / name / "epoch_2.pth") for name in ("whole", "run"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


FILLER = """
import sys
sys.path.insert(0, {helpers!r})
from pathlib import Path
from disks import SmallDisk
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class Filler(Hook):
    priority = "VERY_HIGH"

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter == 0:
            SmallDisk(Path({folder!r})).fill()
        if runner.iter == 3:
            SmallDisk(Path({folder!r})).make_room()
"""


def test_full_disk_for_logs_and_pictures_does_not_stop_training(tmp_path, pretrain_config, images):
    with small_disk(tmp_path / "disk", "32m") as disk:
        helpers = str(Path(__file__).parents[1] / "helpers")
        (tmp_path / "filler.py").write_text(FILLER.format(helpers=helpers, folder=str(disk.folder)))
        pretrain_config.write_text(
            pretrain_config.read_text()
            + "custom_imports = dict(imports=['mim_plugins', 'filler'])\n"
            "custom_hooks = [dict(type='Filler'),\n"
            "    dict(type='mim_plugins.ReconstructionHook', by_epoch=False, interval=1)]\n"
        )
        command = [
            sys.executable, TOOLS / "train.py", pretrain_config, "--data-root", images,
            "--work-dir", disk.folder / "run",
        ]  # fmt: skip
        environment = os.environ | dict(
            OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="", PYTHONPATH=f"{TOOLS.parent}:{tmp_path}"
        )
        with (disk.folder / "console.txt").open("w") as console:
            code = subprocess.call(
                list(map(str, command)), stdout=console, stderr=console, env=environment
            )
        log = "".join(file.read_text() for file in disk.folder.glob("run/*/*.log"))
        assert code == 0, (disk.folder / "console.txt").read_text() + log
        assert (disk.folder / "run/epoch_2.pth").is_file()
        assert list(disk.folder.glob("run/*/vis_data/vis_image/reconstruction_4.png"))
        assert "Logging error" not in (disk.folder / "console.txt").read_text()
        assert losses(disk.folder / "run")
    assert "can be written again" in log


def test_plain_mmengine_configs_never_execute_checkpoint_code(tmp_path, pretrain_config, arguments):
    pretrain_config.write_text(
        pretrain_config.read_text()
        + "default_hooks['checkpoint'] = dict(type='CheckpointHook', _delete_=True, interval=1)\n"
        "train_cfg = dict(by_epoch=True, max_epochs=1, _delete_=True)\n"
    )
    first = train(*arguments, tmp_path / "run", "--keep-global-batch").stdout
    assert "INFO - for exact resuming (docs/reliability.md)" in first
    assert "INFO - global batch 2048 kept" in first
    assert "WARNING - --keep-global-batch accumulates 512 iterations, but an epoch has 2" in first
    checkpoint = torch.load(tmp_path / "run/epoch_1.pth")
    checkpoint["meta"]["config"] = f"open({str(tmp_path / 'executed')!r}, 'w')"
    torch.save(checkpoint, tmp_path / "file.pth")
    more = train(*arguments, tmp_path / "run", "--resume", tmp_path / "file.pth",
                 "--cfg-options", "train_cfg.max_epochs=2")  # fmt: skip
    assert "meta['config'] of the checkpoint is ignored" in more.stdout
    assert not (tmp_path / "executed").exists()


def test_run_with_only_corrupt_checkpoints_exits_with_one_line(tmp_path, arguments):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/epoch_1.pth").write_bytes(b"PK")
    error = train(*arguments, tmp_path / "run", "--resume", code=1).stderr
    assert "none can be resumed from" in error
    assert "--overwrite instead of --resume" in error


@pytest.mark.parametrize("layout", ["classes", "annotation"])
def test_both_layouts_of_the_data_are_read(tmp_path, pretrain_config, layout):
    options = [f"data_root={tmp_path / 'data'}", "train_cfg.max_epochs=1"]
    for name in ("cat", "dog"):
        write_images(tmp_path / "data/train" / name, 4, (70, 90))
    if layout == "annotation":
        listed = (f"{name}/{i:02d}.jpg {label}\n" for label, name in enumerate(("cat", "dog"))
                  for i in range(2))  # fmt: skip
        (tmp_path / "data/list.txt").write_text("".join(listed))
        options.append("train_dataloader.dataset.ann_file=list.txt")
    printed = train(
        pretrain_config, "--work-dir", tmp_path / "run", "--cfg-options", *options
    ).stdout
    assert f"Training on {8 if layout == 'classes' else 4} images" in printed


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (None, ["there is no data folder", "--data-root"]),
        (0, ["no images in", "--data-root"]),
        (3, ["fewer than one batch"]),
    ],
)
def test_missing_and_small_folders_exit_with_one_line(tmp_path, pretrain_config, count, expected):
    data = tmp_path / "data"
    if count is not None:
        write_images(data, count, (70, 90))
    arguments = ("--work-dir", tmp_path / "run", "--data-root", data)
    error = train(pretrain_config, *arguments, code=1).stderr
    for part in (*expected, str(data)) if count != 3 else expected:
        assert part in error


def test_errors_before_the_first_epoch_are_one_line(tmp_path, arguments):
    wrong = (*arguments, tmp_path / "run", "--cfg-options", "optim_wrapper.optimizer.type=AdamV")
    message = "LayerDecayOptimWrapperConstructor: optimizer.type='AdamV'"
    assert f"error: {message}" in train(*wrong, code=1).stderr
    with pytest.raises(ValueError, match=message):
        train(*wrong[:-2], "--traceback", *wrong[-2:])


def test_two_processes_train_on_the_cpu(tmp_path, arguments):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    config, *rest = arguments
    printed = run_process(
        "bash", TOOLS / "dist_train.sh", config, 2, *rest, tmp_path / "run",
        "--cfg-options", "train_cfg.max_epochs=1", PORT=str(free_port()), PATH=path,
    ).stdout  # fmt: skip
    assert "global batch 8 = 2 processes * 4 images" in printed
    assert (tmp_path / "run/epoch_1.pth").is_file()
    assert len(losses(tmp_path / "run")) == 1


def test_fine_tune_from_a_pre_training_checkpoint_and_evaluate(
    tmp_path, pretrain_config, finetune_config
):
    for folder in ("train/x", "val/cat", "val/dog"):
        write_images(tmp_path / "data" / folder, 4, (70, 90))
    data = ("--data-root", tmp_path / "data", "--work-dir")
    train(pretrain_config, *data, tmp_path / "pre", "--cfg-options", "train_cfg.max_epochs=1")
    pretrained = tmp_path / "pre/epoch_1.pth"

    train(finetune_config, *data, tmp_path / "fine", "--cfg-options",
          f"model.backbone.init_cfg.checkpoint={pretrained}",
          "optim_wrapper.optimizer.lr=0.0")  # fmt: skip
    tuned = state_dict(tmp_path / "fine/epoch_1.pth")
    for name, tensor in state_dict(pretrained).items():
        if name.startswith("backbone."):
            assert torch.equal(tuned[name], tensor), name

    config_of_run = tmp_path / "fine" / Path(finetune_config).name
    before = config_of_run.read_bytes()
    run_tool("test.py", finetune_config, tmp_path / "fine/epoch_1.pth", *data, tmp_path / "fine",
             "--out", tmp_path / "metrics.json")  # fmt: skip
    assert 0 <= json.loads((tmp_path / "metrics.json").read_text())["accuracy/top1"] <= 100
    assert config_of_run.read_bytes() == before


def test_evaluating_a_pre_training_config_is_refused(pretrain_config):
    assert "no test data" in run_tool("test.py", pretrain_config, "none.pth", code=1).stderr


def test_real_images_lower_the_loss(tmp_path, pretrain_config):
    data = os.environ.get("MIM_PLUGINS_DATA")
    if not data:
        pytest.skip("MIM_PLUGINS_DATA is not set: no real images")
    train(
        pretrain_config, "--data-root", Path(data) / "imagenet_sample", "--work-dir",
        tmp_path / "run", "--cfg-options", "train_dataloader.batch_size=20",
        "train_cfg.max_epochs=4", "param_scheduler.0.end=1",
    )  # fmt: skip
    values = losses(tmp_path / "run")
    assert len(values) == 40
    assert np.mean(values[-5:]) < np.mean(values[:5]) - 0.02
