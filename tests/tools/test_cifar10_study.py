"""Plan, jobs and configs of the longer comparison on CIFAR-10."""

import dataclasses
import json

import numpy as np
import pytest
from mmengine.config import Config

EPOCHS = 20


@pytest.fixture
def plan(cifar10):
    plan = cifar10("study_plan")
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

    def __init__(self, cifar10, tmp_path, accuracy):
        work, plan = cifar10("study_work"), cifar10("study_plan")
        self.study = work.Study(tmp_path, tmp_path / "results", plan.LENGTHS["long"], {})
        self.study._finetune = lambda job: dict(validation=accuracy(job.rate))
        self.study._provide_weights = lambda start, is_pretrained: None
        self.start = plan.Start("mixmae", 2, 60)

    def best(self):
        return self.study._best_rate(self.start)


@pytest.mark.parametrize(
    ("best", "tried"),
    [(1e-3, 3), (2e-3, 4), (5e-4, 4), (4e-3, 5), (2.5e-4, 5), (1.0, 5), (1e-9, 5)],
)
def test_search_of_the_rate_leaves_its_edges_within_limits(cifar10, tmp_path, best, tried):
    searches = Searches(cifar10, tmp_path, lambda rate: -abs(np.log(rate / best)))
    found = searches.best()
    assert found == pytest.approx(np.clip(best, 1.25e-4, 8e-3), rel=1e-6)
    files = sorted((tmp_path / "results").glob("*.json"))
    assert len(files) == tried
    assert all(file.name.startswith("finetune_mixmae_20e_seed0_10percent_lr") for file in files)
    content = json.loads(files[0].read_text())
    assert {"commit", "versions", "seed", "host", "seconds", "values"} <= set(content)


def test_no_job_begins_after_the_deadline(cifar10, tmp_path):
    """The jobs of a search are jobs, too."""
    searches = Searches(cifar10, tmp_path, lambda rate: rate)
    begun = []

    def finetune(job):
        begun.append(job.rate)
        searches.study._deadline = 0.0
        return dict(validation=1.0)

    searches.study._finetune = finetune
    with pytest.raises(TimeoutError, match=r"lr0\.001"):
        searches.best()
    assert begun == [5e-4]
    assert len(list((tmp_path / "results").glob("*.json"))) == 1
    job = cifar10("study_plan").Job(
        "finetune", cifar10("study_plan").Start("mixmae", 0, 20), 10, 5e-4
    )
    assert searches.study.run(job) == dict(validation=1.0)


@pytest.mark.parametrize("limit", [1, 10, 100])
def test_warm_up_does_not_depend_on_the_limit(cifar10, tmp_path, limit):
    plan, configs = cifar10("study_plan"), cifar10("study_configs")
    length = dataclasses.replace(
        plan.LENGTHS["long"], most_epochs=dict.fromkeys((1, 10, 100), limit)
    )
    experiment = cifar10("study_work").Study(tmp_path, tmp_path, length, {}).experiment
    study = configs.StudyConfigs(experiment, length)
    job = plan.Job("finetune", plan.Start("random_swin", 0), 10)
    for name in ("cifar_arrays", "cifar_vit", "encoder_target", "mask_token_swin", "variants"):
        cifar10(name)
    cfg = Config.fromfile(study.finetuning(job, 1e-3))
    assert cfg.train_cfg.max_epochs == limit
    assert cfg.param_scheduler[0].end == 12
    assert cfg.param_scheduler[1].type == "ReduceOnPlateauLR"
    assert cfg.default_hooks.timed_checkpoint.type == "mim_plugins.TimedCheckpointHook"


@pytest.mark.parametrize("left", ["timed_0.pth", "interrupted.pth", "../LABEL.done", None])
def test_validations_of_a_resumed_run_are_of_all_attempts(cifar10, tmp_path, left):
    work, plan = cifar10("study_work"), cifar10("study_plan")
    study = work.Study(tmp_path, tmp_path / "results", plan.LENGTHS["long"], {})
    job = plan.Job("finetune", plan.Start("random_swin", 0), 10, 1e-3)
    folder = tmp_path / job.label

    def attempt(number, *entries):
        logs = folder / f"{number}/vis_data/scalars.json"
        logs.parent.mkdir(parents=True)
        logs.write_text("".join(json.dumps(entry) + "\n" for entry in entries))

    def validated(step, accuracy):
        return {"accuracy/top1": accuracy, "step": step}

    attempt(1, dict(loss=1.0, step=9), validated(3, 9.0), validated(6, 7.0))
    if left:
        (folder / left.replace("LABEL", job.label)).touch()

    def run(name, script, *arguments):
        if name.endswith("score"):
            arguments[1].write_text(json.dumps(dict(accuracy=5.0)))
        else:
            attempt(2, validated(6, 8.0), validated(9, 8.5))
            (folder / "best_accuracy_top1_epoch_9.pth").touch()
        return dict(wall=1.0)

    study.experiment.run = run
    study.configs.finetuning = lambda *_: tmp_path / "config.py"
    found = study._finetune(job)
    assert (found["best_epoch"], found["validation"]) == ((3, 9.0) if left else (9, 8.5))
    assert (found["last_epoch"], found["accuracy"]) == (9, 5.0)


def test_equal_time_counts_the_teacher(cifar10, tmp_path):
    work, plan = cifar10("study_work"), cifar10("study_plan")
    study = work.Study(tmp_path, tmp_path, plan.LENGTHS["long"], {})
    assert study.equal_time() == {}
    seconds = dict(mixmae=60.0, simmim=48.0, mae=40.0, mrmae=70.0)
    (tmp_path / "calibrate.json").write_text(json.dumps(dict(job="calibrate", values=seconds)))
    assert study.equal_time() == dict(simmim=25, mae=55)


def test_missing_weights_are_made_before_a_job(cifar10, tmp_path, monkeypatch):
    """Results alone, as in a clone, are enough to run the jobs that are left."""
    work, plan = cifar10("study_work"), cifar10("study_plan")
    study = work.Study(tmp_path, tmp_path / "results", plan.LENGTHS["long"], {})
    made = []

    def train(name, config):
        made.append(name)
        (tmp_path / name).mkdir()
        (tmp_path / name / f"epoch_{EPOCHS}.pth").touch()
        return dict(wall=1.0)

    study._train = train
    study.configs.pretraining = lambda start: tmp_path / "config.py"
    study.experiment.teacher_features = study.experiment.weights.touch
    monkeypatch.setattr(work, "write_weights", lambda file: file.touch())
    study._transfer = lambda job: dict(digits=1.0)
    study._pretrain = lambda job: dict(curve={})
    for name, kind, expected in (
        ("mixmae", "pretrain", []),
        ("mixmae", "transfer", ["mixmae_20e_seed1"]),
        ("mrmae_labels", "transfer", ["mae_20e_seed9", "mrmae_labels_20e_seed1"]),
        ("mrmae_self", "pretrain", []),
        ("random_swin", "transfer", []),
    ):
        made.clear()
        study.run(plan.Job(kind, plan.Start(name, 1, 0 if "random" in name else EPOCHS)))
        assert made == expected


def test_files_without_a_resumable_checkpoint_are_removed(cifar10, tmp_path):
    work, plan = cifar10("study_work"), cifar10("study_plan")
    study = work.Study(tmp_path, tmp_path / "results", plan.LENGTHS["long"], {})
    study.experiment.run = lambda *_: dict(wall=1.0)
    file = tmp_path / "mae" / "epoch_20.pth"
    for left, is_kept in (("mae/timed_0.pth", True), ("mae.done", True), (None, False)):
        file.parent.mkdir(exist_ok=True)
        file.touch()
        if left:
            (tmp_path / left).touch()
        study._train("mae", tmp_path / "config.py")
        assert file.exists() == is_kept
        if left:
            (tmp_path / left).unlink()


def test_fine_tuning_of_fixed_length_is_tested_at_its_end(cifar10, tmp_path):
    work, plan = cifar10("study_work"), cifar10("study_plan")
    study = work.Study(tmp_path, tmp_path / "results", plan.LENGTHS["long"], {})
    for name in ("cifar_arrays", "cifar_vit", "encoder_target", "mask_token_swin", "variants"):
        cifar10(name)
    study._best_rate = lambda start: 2e-3
    study._train = lambda name, config: dict(wall=1.0)
    given = []

    def run(name, script, *arguments):
        given.extend(arguments)
        arguments[1].write_text(json.dumps(dict(accuracy=5.0)))

    study.experiment.run = run
    job = plan.Job("cosine", plan.Start("random_swin", 1), 10)
    assert study._cosine(job) == dict(accuracy=5.0, rate=2e-3, taken=dict(wall=1.0))
    _, _, config, checkpoint, *_ = given
    assert checkpoint == tmp_path / job.label / "epoch_120.pth"
    cfg = Config.fromfile(config)
    assert cfg.train_cfg.max_epochs == 120
    assert "early_stopping" not in cfg.default_hooks
    warm_up, cosine = cfg.param_scheduler
    assert (warm_up.end, cosine.begin, cosine.type) == (12, 12, "CosineAnnealingLR")
    assert cfg.optim_wrapper.optimizer.lr == 2e-3
    assert cfg.train_dataloader.dataset.seed == cfg.randomness.seed == 1


def test_rivals_are_also_tuned_for_a_fixed_length(plan):
    starts = {job.start for job in plan.jobs() if job.kind == "cosine"}
    assert {(start.name, start.epochs) for start in starts} == {
        ("mixmae", 20), ("simmim", 20), ("simmim", 25), ("mae", 20), ("mae", 53), ("mrmae_self", 20)
    }  # fmt: skip
    assert len(starts) == 3 * 6
