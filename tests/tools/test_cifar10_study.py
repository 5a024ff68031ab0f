"""Plan, teachers and statistics of the longer comparison on CIFAR-10."""

import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mim_plugins.registry import MODELS

FOLDER = Path(__file__).parents[2] / "tools/dev/experiments/cifar10"
EPOCHS = 20


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture
def plan(module):
    plan = module("study_plan")
    return plan.Plan(plan.LENGTHS["long"], dict(simmim=25, mae=53))


def test_names_of_jobs_are_unique_and_pre_trainings_come_first(plan):
    jobs = plan.jobs()
    labels = [job.label for job in jobs]
    assert len(set(labels)) == len(labels)
    for position, job in enumerate(jobs):
        if job.start and job.kind != "pretrain":
            start = f"pretrain_{job.start.label}"
            assert labels.index(start) < position
            # the learning rate is searched with seed 0 and the normal length
            if job.kind == "finetune":
                epochs = EPOCHS if job.start.epochs else 0
                first = type(job.start)(job.start.name, 0, epochs)
                assert labels.index(f"pretrain_{first.label}") < position


def test_rivals_are_compared_at_equal_time_with_three_seeds(plan):
    starts = {job.start for job in plan.jobs() if job.kind == "finetune" and job.share == 10}
    for name, epochs in (("simmim", 25), ("mae", 53), ("mixmae", 20), ("mrmae_self", 20)):
        seeds = {s.seed for s in starts if (s.name, s.epochs, s.variant) == (name, epochs, "")}
        assert seeds == {0, 1, 2}


class Searches:
    """Study whose fine-tunings have the given validation accuracies by learning rate."""

    def __init__(self, module, tmp_path, accuracy):
        work, plan = module("study_work"), module("study_plan")
        self.study = work.Study(tmp_path, tmp_path / "results", plan.LENGTHS["long"], {})
        self.study._finetune = lambda job: dict(validation=accuracy(job.rate))
        self.start = plan.Start("mixmae", 2, 60)

    def best(self):
        return self.study._best_rate(self.start)


@pytest.mark.parametrize(
    ("best", "tried"),
    [(1e-3, 3), (2e-3, 4), (5e-4, 4), (4e-3, 5), (2.5e-4, 5), (1.0, 5), (1e-9, 5)],
)
def test_search_of_the_rate_leaves_its_edges_within_limits(module, tmp_path, best, tried):
    searches = Searches(module, tmp_path, lambda rate: -abs(np.log(rate / best)))
    found = searches.best()
    assert found == pytest.approx(np.clip(best, 1.25e-4, 8e-3), rel=1e-6)
    files = sorted((tmp_path / "results").glob("*.json"))
    assert len(files) == tried
    assert all(file.name.startswith("finetune_mixmae_20e_seed0_10percent_lr") for file in files)
    content = json.loads(files[0].read_text())
    assert {"commit", "versions", "seed", "host", "seconds", "values"} <= set(content)


def test_equal_time_counts_the_teacher(module, tmp_path):
    work, plan = module("study_work"), module("study_plan")
    study = work.Study(tmp_path, tmp_path, plan.LENGTHS["long"], {})
    assert study.equal_time() == {}
    seconds = dict(mixmae=60.0, simmim=48.0, mae=40.0, mrmae=70.0)
    (tmp_path / "calibrate.json").write_text(json.dumps(dict(job="calibrate", values=seconds)))
    assert study.equal_time() == dict(simmim=25, mae=55)


def test_unfinished_pre_training_is_no_start(module, tmp_path):
    configs, plan = module("study_configs"), module("study_plan")
    experiment = type("Experiment", (), dict(work=tmp_path))()
    study = configs.StudyConfigs(experiment, plan.LENGTHS["long"])
    start = plan.Start("mae", 9, EPOCHS)
    (tmp_path / start.label).mkdir()
    (tmp_path / start.label / "epoch_5.pth").touch()
    with pytest.raises(SystemExit, match="has not ended"):
        study.last_checkpoint(start)
    (tmp_path / start.label / "epoch_20.pth").touch()
    assert study.last_checkpoint(start).name == "epoch_20.pth"


def test_hits_survive_their_text(module):
    score = module("score")
    hits = np.random.default_rng(0).random(1003) < 0.3
    assert (score.unpack(score.pack(hits), 1003) == hits).all()


@pytest.fixture
def results(module):
    """Results in which the first rival hits 10 points more, image by image, with every seed."""
    score, plan = module("score"), module("study_plan")
    generator = np.random.default_rng(0)
    values = {}
    for seed in (0, 1, 2):
        base = generator.random(4000) < 0.4
        better = base | (generator.random(4000) < 1 / 6)
        for name, hits in (("mixmae", better), ("simmim", base)):
            start = plan.Start(name, seed, EPOCHS)
            values[plan.Job("pretrain", start).label] = dict(
                curve={str(EPOCHS): dict(knn=1.0, probe=2.0)}
            )
            values[plan.Job("finetune", start, 10).label] = dict(
                accuracy=100 * hits.mean(), hits=score.pack(hits), images=4000
            )
    return values


def test_both_intervals_contain_the_difference(module, results):
    statistics = module("study_statistics")

    def compare(first, second):
        return statistics.difference(results, (first, EPOCHS), (second, EPOCHS), 10)

    found = compare("mixmae", "simmim")
    for low, high in (found.bootstrap, found.student):
        assert 8 < low < sum(found.gains) / 3 < high < 12
    assert len(found.gains) == 3
    assert compare("mixmae", "mae") is None
    same = compare("mixmae", "mixmae")
    assert same == ([0.0, 0.0, 0.0], (0.0, 0.0), (0.0, 0.0))


def test_difference_of_some_seeds_is_of_those_that_both_have(module, results):
    statistics, plan = module("study_statistics"), module("study_plan")
    del results[plan.Job("finetune", plan.Start("simmim", 1, EPOCHS), 10).label]
    found = statistics.difference(results, ("mixmae", EPOCHS), ("simmim", EPOCHS), 10)
    assert len(found.gains) == 2
    del results[plan.Job("finetune", plan.Start("mixmae", 0, EPOCHS), 10).label]
    found = statistics.difference(results, ("mixmae", EPOCHS), ("simmim", EPOCHS), 10)
    assert len(found.gains) == 1
    assert found.student is None


def test_tables_come_from_result_files(module, results, tmp_path):
    report = module("study_report")
    for name, values in results.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(dict(job=name, values=values)))
    longer = module("study_plan").Start("mixmae", 0, 60)
    name = module("study_plan").Job("pretrain", longer).label
    content = dict(job=name, values=dict(curve={"60": dict(knn=3.0, probe=4.0)}))
    (tmp_path / f"{name}.json").write_text(json.dumps(content))
    values = report.read(tmp_path)
    assert report.lengths(values, "mixmae") == [EPOCHS, 60]
    row = report.table(values, [("mixmae", EPOCHS, "")]).splitlines()[-1]
    assert re.match(
        r"\| mixmae \| 20 \| 1.0 ± 0.0 \(3\) \| 2.0 ± 0.0 \(3\) \|  \| \d+\.\d ± \d", row
    )
    assert "| mixmae - simmim | 20, 20 | 10 % | +" in report.differences(values, EPOCHS)
    report.draw(values, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000


def test_gap_cost_and_detection_come_from_result_files(module):
    report, plan = module("study_report"), module("study_plan")
    values = {}
    for seed in (0, 1):
        for name, knn in (("mixmae", 40.0 + seed), ("simmim", 30.0)):
            curve = {"10": dict(knn=30.0), "5": dict(knn=20.0), "20": dict(knn=knn)}
            curve = {epoch: dict(found, probe=50.0) for epoch, found in curve.items()}
            start = plan.Start(name, seed, EPOCHS)
            values[plan.Job("pretrain", start).label] = dict(curve=curve)
        detected = dict(box=[0.1, 0.2 + seed / 10], iterations=[80, 160])
        values[plan.Job("detect", plan.Start("random_swin", seed)).label] = detected
    assert "| mixmae - simmim | k-NN | 2 | 5: +0.0, 10: +0.0, 20: +10.5 |" in report.gaps(values)
    assert report.detection(values).splitlines()[0] == "| start | seeds | 80 | 160 |"
    assert "| random_swin | 2 | 0.100 | 0.250 |" in report.detection(values)
    values |= dict(calibrate=dict(simmim=50.0), cost=dict(simmim=dict(total=126.0, encoder=124.0)))
    # 62.5 % of 124 MFLOP; 124 MFLOP and 50 s / 10,000 for 24 of 64 tokens
    assert "| simmim | 126 | 124 | 78 | 50 | 5.17 | 208.3 |" in report.costs(values, 10_000)
    assert report.detection({}) == ""


def test_gain_is_of_seeds_that_both_have_or_to_random_weights(module):
    statistics, plan = module("study_statistics"), module("study_plan")
    values = {}
    for name, seed, epochs, curve in (
        ("mixmae", 0, EPOCHS, {"20": 40.0}),
        ("mixmae", 1, EPOCHS, {"20": 41.0}),
        ("simmim", 1, EPOCHS, {"20": 35.0}),
        ("random_swin", 0, 0, {"0": 30.0}),
    ):
        start = plan.Start(name, seed, epochs)
        found = {epoch: dict(knn=knn) for epoch, knn in curve.items()}
        values[plan.Job("pretrain", start).label] = dict(curve=found)
    assert statistics.gains(values, "mixmae", "simmim", EPOCHS, "knn") == {20: [6.0]}
    assert statistics.gains(values, "mixmae", "random_swin", EPOCHS, "knn") == {20: [10.0]}


def test_groups_are_disjoint_and_each_image_is_left_out(module):
    groups, transfer = module("imagenet_groups"), module("transfer")
    names = [name for text in groups.GROUPS.values() for name in text.split()]
    assert len(groups.GROUPS) == 10
    assert len(names) == len(set(names)) == len(groups.GROUP_OF)
    generator = torch.Generator().manual_seed(0)
    centers = torch.eye(8)[:2].repeat_interleave(torch.tensor([30, 6]), dim=0)
    features = centers + 0.01 * torch.randn(36, 8, generator=generator)
    labels = ["bird"] * 30 + ["dog"] * 6
    assert transfer.group_accuracy(features, labels) == 100
    alone = ["bird"] * 35 + ["dog"]  # its own label must not help
    assert transfer.group_accuracy(torch.ones(36, 8), alone) == 50


def test_images_of_the_groups_are_squares_of_their_centers(module, tmp_path):
    import cv2

    transfer = module("transfer")
    image = np.zeros((64, 128, 3), np.uint8)
    image[:, 32:96] = (0, 0, 255)  # red in BGR
    cv2.imwrite(str(tmp_path / "robin.png"), image)
    (tmp_path / "robin.png").rename(tmp_path / "n01558993_robin.JPEG")
    cv2.imwrite(str(tmp_path / "n00000000_unknown.png"), image)
    images, groups = transfer.imagenet(tmp_path)
    assert groups == ["bird"]
    assert images.shape == (1, 3, 32, 32)
    assert images[0].flatten(1).float().mean(dim=1).tolist() == [255, 0, 0]
    with pytest.raises(SystemExit, match="has no image"):
        transfer.imagenet(tmp_path / "missing")


def test_ap_of_a_validation_without_detections_is_zero(module, tmp_path):
    detect = module("detect")
    logs = tmp_path / "20261130/vis_data/scalars.json"
    logs.parent.mkdir(parents=True)
    entries = [dict(loss=1.0, step=80), {"coco/bbox_mAP": 0.5, "coco/segm_mAP": 0.4, "step": 160}]
    logs.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    found = detect.read_ap(tmp_path, 80, 160)
    assert found == dict(iterations=[80, 160], box=[0.0, 0.5], mask=[0.0, 0.4])


def test_bfloat16_wrapper_changes_precision_not_weights(module):
    wrapper = module("bfloat16").Bfloat16OptimWrapper
    model = torch.nn.Linear(4, 4)
    wrapped = wrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    with wrapped.optim_context(model):
        output = model(torch.ones(2, 4))
        assert torch.is_autocast_enabled("cpu")
    assert output.dtype == torch.bfloat16
    assert not torch.is_autocast_enabled("cpu")
    wrapped.update_params(output.float().sum())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_own_encoder_as_teacher_gives_its_tokens(module, tmp_path):
    experiment_config = FOLDER / "configs/mae.py"
    for name in ("cifar_arrays", "cifar_vit", "encoder_target", "mask_token_swin", "variants"):
        module(name)
    from mmengine.config import Config

    cfg = Config.fromfile(experiment_config, import_custom_modules=False)
    cfg.dump(tmp_path / "mae.py")
    model = MODELS.build(cfg.model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / "mae.pth")
    paths = dict(config=str(tmp_path / "mae.py"), checkpoint=str(tmp_path / "mae.pth"))
    target = MODELS.build(dict(type="mim_plugins.EncoderTarget", normalize=False, **paths))
    pixels = torch.rand(2, 3, 32, 32)
    mean, std = (torch.tensor(cfg[name]).view(3, 1, 1) for name in ("mean", "std"))
    model.backbone.eval()
    with torch.no_grad():
        expected = model.backbone((255 * pixels - mean) / std)[0].flatten(2).transpose(1, 2)
        assert torch.allclose(target(pixels, (8, 8)).features, expected, atol=1e-5)


@pytest.mark.parametrize("on_all", [False, True])
def test_decoder_mimics_the_chosen_tokens_only(module, on_all):
    for name in ("cifar_arrays", "cifar_vit", "encoder_target", "mask_token_swin", "variants"):
        module(name)
    from mmengine.config import Config

    cfg = Config.fromfile(FOLDER / "configs/mrmae.py", import_custom_modules=False)
    cfg.model.mimics.teacher.target_generator.pretrained = None
    cfg.model |= dict(type="mim_plugins.DecoderMimic", on_all=on_all)
    model = MODELS.build(cfg.model)
    images = torch.randn(4, 3, 32, 32)
    torch.manual_seed(0)
    losses = model.loss(images)
    sum(losses.values()).backward()
    assert model.decoder_heads["teacher"].proj.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.mimics["teacher"].head.parameters())
    seen = []
    model.decoder_heads["teacher"].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model.loss(images)
    assert seen[0].shape[0] == 4 * (64 if on_all else 48)
