"""tools/train.py after signals, on full disks, and with earlier checkpoints."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from disks import small_disk
from tool_runs import TOOLS, run_process
from train_runs import losses, state_dict, train

from mim_plugins.cli import WorkDirLock


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
    checkpoint = torch.load(tmp_path / "run/epoch_1.pth", weights_only=False)
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
