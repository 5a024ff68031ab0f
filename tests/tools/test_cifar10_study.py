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
    return plan.Plan(plan.LENGTHS["long"], dict(mixmae=20, simmim=25, mae=31))


def test_names_of_jobs_are_unique_and_rates_are_searched_first(plan, module):
    jobs = plan.jobs()
    labels = [job.label for job in jobs]
    assert len(set(labels)) == len(labels)
    for seed in (1, 2):
        for job in jobs:
            if (
                job.kind == "finetune"
                and job.start.seed == seed
                and job.start.epochs in (0, EPOCHS)
            ):
                start = f"{job.start.label.rpartition('_')[0]}_seed0"
                searched = [f"finetune_{start}_10percent_lr{rate:g}" for rate in (5e-4, 4e-3)]
                position = labels.index(job.label)
                assert all(labels.index(each) < position for each in searched)


def test_rivals_are_compared_at_equal_time_with_three_seeds(plan):
    starts = {job.start for job in plan.jobs() if job.kind == "pretrain"}
    for name, epochs in (("simmim", 25), ("mae", 31), ("mixmae", 20), ("mrmae_self", 20)):
        seeds = {s.seed for s in starts if (s.name, s.epochs, s.variant) == (name, epochs, "")}
        assert seeds == {0, 1, 2}


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


def test_paired_interval_contains_the_difference(module, results):
    report = module("study_report")
    gain, low, high = report.difference(results, ("mixmae", EPOCHS), ("simmim", EPOCHS), 10)
    assert low < gain < high
    assert abs(gain - 10) < 1
    assert low > 8
    assert report.difference(results, ("mixmae", EPOCHS), ("mae", EPOCHS), 10) is None
    same, low, high = report.difference(results, ("mixmae", EPOCHS), ("mixmae", EPOCHS), 10)
    assert same == low == high == 0


def test_tables_come_from_result_files(module, results, tmp_path):
    report = module("study_report")
    for name, values in results.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(dict(job=name, values=values)))
    values = report.read(tmp_path)
    assert report.lengths(values, "mixmae") == [EPOCHS]
    row = report.table(values, [("mixmae", EPOCHS, "")]).splitlines()[-1]
    assert re.match(r"\| mixmae \| 20 \| 1.0 ± 0.0 \| 2.0 ± 0.0 \|  \| \d+\.\d ± \d", row)
    assert "| mixmae - simmim | 20, 20 | 10 % | +" in report.differences(values)
    report.draw(values, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000


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
