import os
import uuid
from contextlib import nullcontext

import pytest
import torch
from image_files import corrupt_files, good_files
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import nn
from two_processes import DISTRIBUTED, in_two_processes

from mim_plugins.engine.hooks import CorruptImageHook
from mim_plugins.errors import CorruptImageError
from mim_plugins.file_names import read_lines, unquote_name


class MeanModel(BaseModel):
    """Model with one parameter that records the paths of its images."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen = []

    def forward(self, inputs, data_samples, mode):
        self.seen += [sample.img_path for sample in data_samples]
        pixels = torch.stack(inputs).float() if isinstance(inputs, list) else inputs.float()
        return dict(loss=(self.weight - pixels.mean() / 255) ** 2)


@pytest.fixture
def folder(tmp_path):
    """Folder of six good and two corrupt images."""
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(6):
        (folder / f"{index}.jpg").write_bytes(good_files()["rgb.jpg"])
    for name in ("half.jpg", "overwritten.jpg"):
        (folder / name).write_bytes(corrupt_files()[name][0])
    return folder


@pytest.fixture
def make_runner(tmp_path, folder):
    def make(workers=0, persistent=False, epochs=2, work_dir="run", hook=None, repeat=1, **options):
        model = MeanModel()
        images = dict(
            type="mim_plugins.UnlabeledImageFolder",
            data_root=str(folder),
            on_corrupt="replace",
            pipeline=[dict(type="mim_plugins.LoadImage"), dict(type="PackInputs")],
        )
        runner = Runner(
            model=model,
            work_dir=str(tmp_path / work_dir),
            train_dataloader=dict(
                batch_size=2,
                num_workers=workers,
                persistent_workers=persistent,
                sampler=dict(type="DefaultSampler", shuffle=True),
                collate_fn=dict(type="default_collate"),
                dataset=dict(type="RepeatDataset", times=repeat, dataset=images)
                if repeat > 1
                else images,
            ),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
            custom_hooks=[
                dict(type="mim_plugins.CorruptImageHook", **(hook or dict(max_share=0.5)))
            ],
            randomness=dict(seed=0),
            default_scope="mmpretrain",
            experiment_name=f"{tmp_path}_{work_dir}_{uuid.uuid4()}",
            **options,
        )
        return runner, model

    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield make


@pytest.fixture
def read_log(tmp_path):
    return lambda run="run": "".join(
        file.read_text() for file in sorted((tmp_path / run).glob("*/*.log"))
    )


def test_run_continues_and_reports_each_corrupt_image_once(tmp_path, folder, make_runner, read_log):
    corrupt = {str(folder / "half.jpg"), str(folder / "overwritten.jpg")}
    seen = []
    for workers, persistent in ((0, False), (2, False), (2, True)):
        name = f"run{workers}{persistent}"
        runner, model = make_runner(workers, persistent, work_dir=name)
        runner.train()

        assert runner.iter == 8
        assert len(model.seen) == 16
        assert not corrupt & set(model.seen)
        assert set((tmp_path / name / "corrupt_images.txt").read_text().split()) == corrupt
        log = read_log(name)
        assert log.count("half.jpg': truncated") == 1
        assert log.count("overwritten.jpg': corrupt") == 1
        assert "corrupt images: 2, listed in" in log
        assert "samples replaced in this run: 4" in log  # two in each of the two epochs
        seen.append(model.seen)
    assert seen[0] == seen[1] == seen[2]


HOOK = dict(type="mim_plugins.CorruptImageHook")


@pytest.mark.parametrize(
    ("hooks", "remedy"),
    [
        ({}, r"max_share of CorruptImageHook.*=0\.5$"),
        (dict(custom_hooks=[None, dict(type="EMAHook"), HOOK]),
         r"--cfg-options custom_hooks\.2\.max_share=0\.5$"),
        (dict(custom_hooks=[dict(type="CorruptImageHook")]), r"custom_hooks\.0\.max_share=0\.5$"),
        (dict(default_hooks=dict(timer=None, images=HOOK)),
         r"--cfg-options default_hooks\.images\.max_share=0\.5$"),
    ],
)  # fmt: skip
def test_too_many_corrupt_images_stop_the_run(tmp_path, make_runner, hooks, remedy):
    runner, _ = make_runner(hook=dict(max_share=0.2, interval=1), epochs=5)
    if hooks:
        runner.cfg.merge_from_dict(dict(custom_hooks=[]) | hooks)
    message = rf"2 of 8 images.*max_share=0\.2.*check_dataset.*{remedy}"
    with pytest.raises(CorruptImageError, match=message):
        runner.train()
    assert runner.epoch == 0
    assert len((tmp_path / "run/corrupt_images.txt").read_text().split()) == 2


def test_corrupt_image_counts_once(make_runner):
    runner, _ = make_runner(hook=dict(max_share=0.25, interval=1), epochs=4)
    runner.train()
    assert runner.iter == 16


def test_resumed_run_restores_the_corrupt_images(tmp_path, make_runner, read_log):
    runner, _ = make_runner(epochs=1)
    runner.train()
    file = str(tmp_path / "run/epoch_1.pth")
    runner, _ = make_runner(epochs=2, work_dir="more", resume=True, load_from=file)
    runner.train()

    assert "half.jpg': truncated" not in read_log("more")
    assert "corrupt images: 2, listed in" in read_log("more")
    listed = (tmp_path / "more/corrupt_images.txt").read_text()
    assert listed == (tmp_path / "run/corrupt_images.txt").read_text()


def test_checkpoint_within_an_epoch_has_the_records_of_all(tmp_path, make_runner):
    saving = dict(type="mim_plugins.AtomicCheckpointHook", interval=1, by_epoch=False)
    wrapper = DISTRIBUTED["model_wrapper_cfg"]

    def train(rank):
        settings = dict(launcher="pytorch", cfg=dict(model_wrapper_cfg=wrapper))
        runner, _ = make_runner(epochs=1, default_hooks=dict(checkpoint=saving), **settings)
        runner._train_dataloader["sampler"]["shuffle"] = False
        runner.train()

    codes, _ = in_two_processes(train)
    assert codes == [0, 0]
    # the second and last iteration reads one of the corrupt images in each process
    for number, names in ((1, set()), (2, {"half.jpg", "overwritten.jpg"})):
        content = torch.load(tmp_path / f"run/iter_{number}.pth", weights_only=False)
        records = content["message_hub"]["runtime_info"].get("corrupt_images", {})
        assert {os.path.basename(path) for path in records} == names


def test_nothing_is_written_without_corrupt_images(tmp_path, folder, make_runner, read_log):
    for name in ("half.jpg", "overwritten.jpg"):
        (folder / name).unlink()
    runner, _ = make_runner(epochs=1)
    runner.train()
    assert not (tmp_path / "run/corrupt_images.txt").exists()
    assert "corrupt" not in read_log().split("Hooks will be executed")[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [(dict(max_share=1.5), r"max_share=1\.5"), (dict(interval=0), "interval=0")],
)
def test_impossible_arguments_are_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        CorruptImageHook(**options)


@pytest.mark.parametrize(("share", "stops"), [(0.3, False), (0.2, True)])
def test_share_refers_to_images_not_to_repeats(make_runner, share, stops):
    runner, _ = make_runner(epochs=1, hook=dict(max_share=share), repeat=10)

    expected = pytest.raises(CorruptImageError, match="2 of 8 images") if stops else nullcontext()
    with expected:
        runner.train()


def test_corrupt_images_with_any_name_are_reported_and_stored(
    make_runner, folder, tmp_path, read_log
):
    names = [b"not \xff UTF-8.jpg", b"line\nbreak.jpg", b" blank.jpg"]
    for name in names:
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(b"x")
    runner, _ = make_runner(epochs=1)
    runner.train()

    listed = [unquote_name(line) for line in read_lines(tmp_path / "run/corrupt_images.txt")]
    expected = {os.path.join(os.fsencode(folder), name) for name in names}
    assert expected < set(map(os.fsencode, listed))
    assert len(listed) == 5
    log = read_log()
    assert r"not \xff UTF-8.jpg" in log
    assert r"line\nbreak.jpg" in log
    (checkpoint,) = (tmp_path / "run").glob("*.pth")
    content = torch.load(checkpoint, weights_only=False)
    assert set(content["message_hub"]["runtime_info"]["corrupt_images"]) == set(listed)


def test_unwritable_list_is_retried(tmp_path, folder, make_runner, read_log):
    runner, _ = make_runner(hook=dict(max_share=0.5, interval=1), epochs=4)
    file = tmp_path / "run/corrupt_images.txt"
    file.mkdir()  # blocks the path of the file

    class MakeRoom(Hook):
        def after_train_epoch(self, runner):
            if runner.epoch == 2:
                file.rmdir()

    runner.register_hook(MakeRoom(), priority="HIGHEST")
    runner.train()
    assert runner.epoch == 4
    assert len(file.read_text().splitlines()) == 2
    log = read_log()
    assert log.count(f"'{file}' could not be written") == 1
    assert log.count(f"'{file}' can be written again") == 1
