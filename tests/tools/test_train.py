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
from PIL import Image

from mim_plugins.cli import WorkDirLock

ROOT = Path(__file__).parents[2]
BACKBONE = dict(
    arch=dict(_delete_=True, embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2)),
    img_size=64,
    window_size=4,
)


def write_images(folder, count, seed=0):
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        pixels = generator.integers(0, 255, (70, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:02d}.jpg")


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
    lines = [f"_base_ = {str(ROOT / 'configs' / base)!r}"]
    lines += [f"{name} = {value!r}" for name, value in settings.items()]
    path.write_text("\n".join(lines) + "\n" + more)
    return path


def run(*command, check=True):
    environment = dict(os.environ, OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")
    environment["PORT"] = str(free_port())
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    result = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        timeout=300,
    )
    if check:
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result


def train(config, *arguments, check=True):
    return run(sys.executable, "tools/train.py", config, *arguments, check=check)


def losses(work_dir):
    (file,) = sorted(Path(work_dir).glob("*/vis_data/scalars.json"))[-1:]
    records = [json.loads(line) for line in file.read_text().splitlines()]
    return [record["loss"] for record in records if "loss" in record]


def state_dict(file):
    return torch.load(file, weights_only=True)["state_dict"]


def test_pretraining_resumes_and_logs(tmp_path, pretrain_config):
    write_images(tmp_path / "images", 8)
    arguments = (pretrain_config, "--data-root", tmp_path / "images", "--work-dir")

    first = train(*arguments, tmp_path / "run")
    assert "Training on 8 images: global batch 4" in first.stdout
    assert "--auto-scale-lr" in first.stdout
    assert len(losses(tmp_path / "run")) == 4
    assert all(np.isfinite(losses(tmp_path / "run")))

    more = train(
        *arguments, tmp_path / "run", "--resume", "--cfg-options", "train_cfg.max_epochs=3"
    )
    assert "resumed epoch: 2, iter: 4" in more.stdout
    assert (tmp_path / "run/epoch_3.pth").is_file()


def test_signal_exits_with_85_and_the_resumed_run_is_equal(tmp_path, pretrain_config):
    write_images(tmp_path / "images", 8)
    pretrain_config.write_text(
        pretrain_config.read_text().replace("num_workers=0", "num_workers=1")
    )
    arguments = (pretrain_config, "--data-root", tmp_path / "images", "--work-dir")
    train(*arguments, tmp_path / "whole")

    killer = tmp_path / "killer.py"
    killer.write_text(
        "import os, signal\n"
        "from mmengine.hooks import Hook\n"
        "from mmengine.registry import HOOKS\n"
        "@HOOKS.register_module()\n"
        "class Killer(Hook):\n"
        "    def before_train_iter(self, runner, batch_idx, data_batch=None):\n"
        "        if runner.iter == 2:  # as on a cluster, workers receive the signal too\n"
        "            os.killpg(os.getpgid(0), signal.SIGTERM)\n"
    )
    plain = pretrain_config.read_text()
    pretrain_config.write_text(plain + "custom_imports = dict(imports=['mim_plugins', 'killer'])\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        stopped = run(
            "setsid", "--wait", sys.executable, "tools/train.py", *arguments, tmp_path / "run",
            "--cfg-options", "default_hooks.run_summary.type=Killer", check=False,
        )  # fmt: skip
    assert stopped.returncode == 85, stopped.stderr[-2000:]
    assert (tmp_path / "run/interrupted.pth").is_file()

    pretrain_config.write_text(plain)
    train(*arguments, tmp_path / "run", "--resume")
    assert not (tmp_path / "run/interrupted.pth").exists()
    whole, resumed = (state_dict(tmp_path / name / "epoch_2.pth") for name in ("whole", "run"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_second_start_is_refused_without_resume_or_overwrite(tmp_path, pretrain_config):
    write_images(tmp_path / "images", 8)
    folder = tmp_path / "run"
    arguments = (pretrain_config, "--data-root", tmp_path / "images", "--work-dir", folder)
    train(*arguments)
    before = (folder / "epoch_2.pth").read_bytes()

    again = train(*arguments, check=False)
    assert again.returncode == 1
    (line,) = [line for line in again.stderr.splitlines() if line.startswith("error:")]
    for part in (f"'{folder}'", "epoch_2.pth", "--resume", "--overwrite", "--work-dir"):
        assert part in line
    assert (folder / "epoch_2.pth").read_bytes() == before

    with WorkDirLock(folder):
        taken = train(*arguments, "--resume", check=False)
    assert taken.returncode == 1
    assert f"is in use by the run of process {os.getpid()} on host" in taken.stderr

    anew = train(*arguments, "--overwrite", "--cfg-options", "train_cfg.max_epochs=1")
    assert "Training on 8 images" in anew.stdout
    assert [path.name for path in folder.glob("*.pth")] == ["epoch_1.pth"]
    assert not (folder / "run.lock").exists()


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


def test_full_disk_for_logs_and_pictures_does_not_stop_training(tmp_path, pretrain_config):
    write_images(tmp_path / "images", 8)
    with small_disk(tmp_path / "disk", "32m") as disk:
        filler = FILLER.format(helpers=str(ROOT / "tests/helpers"), folder=str(disk.folder))
        (tmp_path / "filler.py").write_text(filler)
        pretrain_config.write_text(
            pretrain_config.read_text()
            + "custom_imports = dict(imports=['mim_plugins', 'filler'])\n"
            "custom_hooks = [dict(type='Filler'),\n"
            "    dict(type='mim_plugins.ReconstructionHook', by_epoch=False, interval=1)]\n"
        )
        command = [
            sys.executable, "tools/train.py", pretrain_config, "--data-root", tmp_path / "images",
            "--work-dir", disk.folder / "run",
        ]  # fmt: skip
        environment = os.environ | dict(
            OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="", PYTHONPATH=f"{ROOT}:{tmp_path}"
        )
        with (disk.folder / "console.txt").open("w") as console:
            code = subprocess.call(
                list(map(str, command)), cwd=ROOT, stdout=console, stderr=console, env=environment
            )
        log = "".join(file.read_text() for file in disk.folder.glob("run/*/*.log"))
        assert code == 0, (disk.folder / "console.txt").read_text() + log
        assert (disk.folder / "run/epoch_2.pth").is_file()
        assert list(disk.folder.glob("run/*/vis_data/vis_image/reconstruction_4.png"))
        assert "Logging error" not in (disk.folder / "console.txt").read_text()
        assert losses(disk.folder / "run")
    assert "can be written again" in log


def test_plain_mmengine_configs_never_execute_checkpoint_code(tmp_path, pretrain_config):
    write_images(tmp_path / "images", 8)
    pretrain_config.write_text(
        pretrain_config.read_text()
        + "default_hooks['checkpoint'] = dict(type='CheckpointHook', _delete_=True, interval=1)\n"
        "train_cfg = dict(by_epoch=True, max_epochs=1, _delete_=True)\n"
    )
    arguments = (
        pretrain_config,
        "--data-root",
        tmp_path / "images",
        "--work-dir",
        tmp_path / "run",
    )
    first = train(*arguments)
    assert "for exact resuming (docs/reliability.md)" in first.stdout
    checkpoint = torch.load(tmp_path / "run/epoch_1.pth")
    checkpoint["meta"]["config"] = f"open({str(tmp_path / 'executed')!r}, 'w')"
    torch.save(checkpoint, tmp_path / "file.pth")
    more = train(*arguments, "--resume", tmp_path / "file.pth",
                 "--cfg-options", "train_cfg.max_epochs=2")  # fmt: skip
    assert "meta['config'] of the checkpoint is ignored" in more.stdout
    assert not (tmp_path / "executed").exists()


def test_run_with_only_corrupt_checkpoints_exits_with_one_line(tmp_path, pretrain_config):
    write_images(tmp_path / "images", 8)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/epoch_1.pth").write_bytes(b"PK")
    result = train(pretrain_config, "--data-root", tmp_path / "images", "--work-dir",
                   tmp_path / "run", "--resume", check=False)  # fmt: skip
    assert result.returncode == 1
    assert "error:" in result.stderr
    assert "none can be resumed from" in result.stderr
    assert "--overwrite instead of --resume" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("layout", ["classes", "annotation"])
def test_both_layouts_of_the_data_are_read(tmp_path, pretrain_config, layout):
    write_images(tmp_path / "data/train/cat", 4, seed=1)
    write_images(tmp_path / "data/train/dog", 4, seed=2)
    options = []
    if layout == "annotation":
        (tmp_path / "data/list.txt").write_text(
            "".join(f"{name}/{i:02d}.jpg {label}\n" for label, name in enumerate(("cat", "dog"))
                    for i in range(2))
        )  # fmt: skip
        options = ["train_dataloader.dataset.ann_file=list.txt"]
    result = train(
        pretrain_config,
        "--work-dir",
        tmp_path / "run",
        "--cfg-options",
        f"data_root={tmp_path / 'data'}",
        "train_cfg.max_epochs=1",
        *options,
    )
    assert f"Training on {8 if layout == 'classes' else 4} images" in result.stdout


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda folder: None, "there is no data folder"),
        (lambda folder: folder.mkdir(), "no images in"),
    ],
    ids=["missing", "empty"],
)
def test_missing_or_empty_folder_exits_with_one_line(tmp_path, pretrain_config, prepare, expected):
    prepare(tmp_path / "data")
    result = train(
        pretrain_config,
        "--work-dir",
        tmp_path / "run",
        "--data-root",
        tmp_path / "data",
        check=False,
    )
    assert result.returncode == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert expected in line
    assert str(tmp_path / "data") in line
    assert "--data-root" in line
    assert "Traceback" not in result.stderr


def test_data_set_smaller_than_a_batch_is_refused(tmp_path, pretrain_config):
    write_images(tmp_path / "images", 3)
    result = train(
        pretrain_config,
        "--work-dir",
        tmp_path / "run",
        "--data-root",
        tmp_path / "images",
        check=False,
    )
    assert result.returncode == 1
    assert "fewer than one batch" in result.stderr
    assert "Traceback" not in result.stderr


def test_notes_and_warnings_have_their_log_levels(tmp_path, pretrain_config):
    write_images(tmp_path / "images", 8)
    data = ("--data-root", tmp_path / "images", "--work-dir", tmp_path / "run")
    loop = ("train_cfg.type=EpochBasedTrainLoop", "train_cfg.max_epochs=1")
    result = train(pretrain_config, *data, "--keep-global-batch", "--cfg-options", *loop)
    assert "INFO - for exact resuming (docs/reliability.md)" in result.stdout
    assert "INFO - global batch 2048 kept" in result.stdout
    assert "WARNING - --keep-global-batch accumulates 512 iterations, but an epoch has 2" in (
        result.stdout
    )


def test_errors_before_the_first_epoch_are_one_line(tmp_path, pretrain_config):
    write_images(tmp_path / "images", 8)
    data = ("--data-root", tmp_path / "images", "--work-dir", tmp_path / "run")
    wrong = ("--cfg-options", "optim_wrapper.optimizer.type=AdamV")
    result = train(pretrain_config, *data, *wrong, check=False)
    assert result.returncode == 1
    assert "error: LayerDecayOptimWrapperConstructor: optimizer.type='AdamV'" in result.stderr
    assert "Traceback" not in result.stderr
    result = train(pretrain_config, *data, "--traceback", *wrong, check=False)
    assert "Traceback" in result.stderr


def test_two_processes_train_on_the_cpu(tmp_path, pretrain_config):
    write_images(tmp_path / "images", 16)
    result = run(
        "bash",
        "tools/dist_train.sh",
        pretrain_config,
        2,
        "--data-root",
        tmp_path / "images",
        "--work-dir",
        tmp_path / "run",
        "--cfg-options",
        "train_cfg.max_epochs=1",
    )
    assert "global batch 8 = 2 processes * 4 images" in result.stdout
    assert (tmp_path / "run/epoch_1.pth").is_file()
    assert len(losses(tmp_path / "run")) == 2


def test_fine_tune_from_a_pre_training_checkpoint_and_evaluate(
    tmp_path, pretrain_config, finetune_config
):
    write_images(tmp_path / "data/train/x", 4)
    write_images(tmp_path / "data/val/cat", 4, seed=1)
    write_images(tmp_path / "data/val/dog", 4, seed=2)
    data = ("--data-root", tmp_path / "data")
    train(pretrain_config, *data, "--work-dir", tmp_path / "pre", "--cfg-options",
          "train_cfg.max_epochs=1")  # fmt: skip
    pretrained = tmp_path / "pre/epoch_1.pth"

    train(
        finetune_config,
        *data,
        "--work-dir",
        tmp_path / "fine",
        "--cfg-options",
        f"model.backbone.init_cfg.checkpoint={pretrained}",
        "optim_wrapper.optimizer.lr=0.0",
    )
    tuned = state_dict(tmp_path / "fine/epoch_1.pth")
    for name, tensor in state_dict(pretrained).items():
        if name.startswith("backbone."):
            assert torch.equal(tuned[name], tensor), name

    config_of_run = tmp_path / "fine" / Path(finetune_config).name
    before = config_of_run.read_bytes()
    run(
        sys.executable,
        "tools/test.py",
        finetune_config,
        tmp_path / "fine/epoch_1.pth",
        *data,
        "--work-dir",
        tmp_path / "fine",
        "--out",
        tmp_path / "metrics.json",
    )
    assert 0 <= json.loads((tmp_path / "metrics.json").read_text())["accuracy/top1"] <= 100
    assert config_of_run.read_bytes() == before


def test_evaluating_a_pre_training_config_is_refused(tmp_path, pretrain_config):
    result = run(sys.executable, "tools/test.py", pretrain_config, "none.pth", check=False)
    assert result.returncode == 1
    assert "no test data" in result.stderr
    assert "Traceback" not in result.stderr


def test_real_images_lower_the_loss(tmp_path, pretrain_config):
    data = os.environ.get("MIM_PLUGINS_DATA")
    if not data:
        pytest.skip("MIM_PLUGINS_DATA is not set: no real images")
    train(
        pretrain_config,
        "--data-root",
        Path(data) / "imagenet_sample",
        "--work-dir",
        tmp_path / "run",
        "--cfg-options",
        "train_dataloader.batch_size=20",
        "train_cfg.max_epochs=4",
        "param_scheduler.0.end=1",
    )
    values = losses(tmp_path / "run")
    assert len(values) == 40
    assert np.mean(values[-5:]) < np.mean(values[:5]) - 0.02
