"""Statistics and tables of the longer comparison on CIFAR-10."""

import json
import re

import numpy as np
import pytest

EPOCHS = 20


@pytest.fixture
def results(cifar10):
    """Results in which the first rival hits 10 points more, image by image, with every seed."""
    score, plan = cifar10("score"), cifar10("study_plan")
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


def test_both_intervals_contain_the_difference(cifar10, results):
    statistics = cifar10("study_statistics")

    def compare(first, second):
        return statistics.difference(results, (first, EPOCHS), (second, EPOCHS), 10)

    found = compare("mixmae", "simmim")
    for low, high in (found.bootstrap, found.student):
        assert 8 < low < sum(found.gains) / 3 < high < 12
    assert len(found.gains) == 3
    assert compare("mixmae", "mae") is None
    same = compare("mixmae", "mixmae")
    assert same == ([0.0, 0.0, 0.0], (0.0, 0.0), (0.0, 0.0))


def test_difference_of_some_seeds_is_of_those_that_both_have(cifar10, results):
    statistics, plan = cifar10("study_statistics"), cifar10("study_plan")
    del results[plan.Job("finetune", plan.Start("simmim", 1, EPOCHS), 10).label]
    found = statistics.difference(results, ("mixmae", EPOCHS), ("simmim", EPOCHS), 10)
    assert len(found.gains) == 2
    del results[plan.Job("finetune", plan.Start("mixmae", 0, EPOCHS), 10).label]
    found = statistics.difference(results, ("mixmae", EPOCHS), ("simmim", EPOCHS), 10)
    assert len(found.gains) == 1
    assert found.student is None


def test_tables_come_from_result_files(cifar10, results, tmp_path):
    report = cifar10("study_report")
    for name, values in results.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(dict(job=name, values=values)))
    longer = cifar10("study_plan").Start("mixmae", 0, 60)
    name = cifar10("study_plan").Job("pretrain", longer).label
    content = dict(job=name, values=dict(curve={"60": dict(knn=3.0, probe=4.0)}))
    (tmp_path / f"{name}.json").write_text(json.dumps(content))
    values = report.read(tmp_path)
    assert report.lengths(values, "mixmae") == [EPOCHS, 60]
    row = report.table(values, [("mixmae", EPOCHS, "")]).splitlines()[-1]
    assert re.match(
        r"\| MixMAE \| 20 \| 1.0 ± 0.0 \(3\) \| 2.0 ± 0.0 \(3\) \|  \| \d+\.\d ± \d", row
    )
    assert "| MixMAE minus SimMIM | 20, 20 | 10 % | +" in report.differences(values, EPOCHS, 60)
    report.draw(values, tmp_path / "picture.png", EPOCHS)
    assert (tmp_path / "picture.png").stat().st_size > 1000


def with_length(cifar10, results, name, epochs, seeds=(0, 1, 2)):
    """Add results of another length with the hits of the normal one."""
    plan = cifar10("study_plan")
    for seed in seeds:
        for kind, share in (("pretrain", 0), ("finetune", 10)):
            old = plan.Job(kind, plan.Start(name, seed, EPOCHS), share).label
            new = plan.Job(kind, plan.Start(name, seed, epochs), share).label
            results[new] = results[old]


def test_lengths_are_equal_or_take_the_same_time(cifar10, results):
    statistics, plan = cifar10("study_statistics"), cifar10("study_plan")
    with_length(cifar10, results, "simmim", 23)
    for name in ("mixmae", "simmim"):
        with_length(cifar10, results, name, 60, seeds=(0,))
    results[plan.Job("pretrain", plan.Start("random_swin", 0)).label] = dict(curve={})

    def compared(first, second):
        return statistics.compared_lengths(results, first, second, EPOCHS, 60)

    assert compared("mixmae", "simmim") == [(20, 20), (20, 23), (60, 60)]
    assert compared("simmim", "random_swin") == [(20, 0), (23, 0), (60, 0)]
    assert compared("mrmae_self", "mae") == []
    del results[plan.Job("pretrain", plan.Start("mixmae", 0, 60)).label]
    assert compared("mixmae", "simmim") == [(20, 20), (20, 23)]


def test_decision_needs_all_seeds_at_both_lengths(cifar10, results):
    report, plan = cifar10("study_report"), cifar10("study_plan")

    def decision():
        return report.decisions(results, EPOCHS, 60).splitlines()[0]

    assert "missing" in decision()
    with_length(cifar10, results, "simmim", 23, seeds=(0, 1))
    assert "missing" in decision()
    with_length(cifar10, results, "simmim", 23)
    assert decision() == "- MixMAE against SimMIM: MixMAE is better"
    with_length(cifar10, results, "simmim", 60, seeds=(0,))
    assert decision().endswith(": MixMAE is better")
    better = {job: values for job, values in results.items() if "finetune_mixmae" in job}
    swapped = {job.replace("mixmae", "simmim"): values for job, values in better.items()}
    results |= {job.replace("20e", "23e"): values for job, values in swapped.items()}
    assert decision().endswith("at equal epochs and at equal time")
    weaker = {job.replace("mixmae", "simmim"): results[job] for job in better}
    for job in better:
        results[job] = dict(results[job], hits=cifar10("score").pack(np.zeros(4000, bool)))
    results |= weaker
    assert decision().endswith(": SimMIM is better")
    assert "against MAE: not decided" in report.decisions(results, EPOCHS, 60)
    assert plan.RIVALS[0] == ("mixmae", "simmim")


def test_runs_that_the_limit_ended_are_counted_by_start(cifar10):
    report, plan = cifar10("study_report"), cifar10("study_plan")
    values = {}
    for seed, last in ((0, 90), (1, 240)):
        start = plan.Start("mixmae", seed, EPOCHS)
        values[plan.Job("pretrain", start).label] = dict(curve={})
        values[plan.Job("finetune", start, 10).label] = dict(last_epoch=last, rate=1e-3)
        values[plan.Job("finetune", start, 10, 2e-3).label] = dict(last_epoch=240, rate=2e-3)
    rows = report.ends(values, {1: 600, 10: 240}).splitlines()[2:]
    assert rows == ["| MixMAE, 20 epochs | 10 % | 0.001 | 90, 240 | 1 |"]


def test_gap_cost_and_detection_come_from_result_files(cifar10):
    report, plan = cifar10("study_report"), cifar10("study_plan")
    values = {}
    for seed in (0, 1):
        for name, knn in (("mixmae", 40.0 + seed), ("simmim", 30.0)):
            curve = {"10": dict(knn=30.0), "5": dict(knn=20.0), "20": dict(knn=knn)}
            curve = {epoch: dict(found, probe=50.0) for epoch, found in curve.items()}
            start = plan.Start(name, seed, EPOCHS)
            values[plan.Job("pretrain", start).label] = dict(curve=curve)
        detected = dict(box=[0.1, 0.2 + seed / 10], iterations=[80, 160])
        values[plan.Job("detect", plan.Start("random_swin", seed)).label] = detected
    assert "| MixMAE minus SimMIM | k-NN | 2 | 5: +0.0, 10: +0.0, 20: +10.5 |" in report.gaps(
        values
    )
    assert report.detection(values).splitlines()[0] == "| start | seeds | 80 | 160 |"
    assert "| random weights, Swin | 2 | 0.100 | 0.250 |" in report.detection(values)
    values |= dict(calibrate=dict(simmim=50.0), cost=dict(simmim=dict(total=126.0, encoder=124.0)))
    # 62.5 % of 124 MFLOP; 124 MFLOP and 50 s / 10,000 for 24 of 64 tokens
    assert "| SimMIM | 126 | 124 | 78 | 50 | 5.17 | 208.3 |" in report.costs(values, 10_000)
    assert report.detection({}) == ""


def test_gain_is_of_seeds_that_both_have_or_to_random_weights(cifar10):
    statistics, plan = cifar10("study_statistics"), cifar10("study_plan")
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


def test_tables_of_runs_show_curves_and_searches(cifar10):
    tables, plan = cifar10("study_tables"), cifar10("study_plan")
    values = {}
    for seed, knn in ((0, 40.0), (1, 42.0)):
        curve = {epoch: dict(knn=knn, probe=50.0) for epoch in ("10", "5", "20")}
        start = plan.Start("mixmae", seed, EPOCHS)
        values[plan.Job("pretrain", start).label] = dict(curve=curve)
    for rate, last in ((2e-3, 240), (5e-4, 99)):
        job = plan.Job("finetune", plan.Start("mixmae", 0, EPOCHS), 10, rate)
        values[job.label] = dict(rate=rate, validation=60.0, accuracy=59.0, last_epoch=last)
    row = tables.curves(values).splitlines()[2]
    assert row == "| MixMAE | 2 | 5, 10, 20 | 41.0, 41.0, 41.0 | 50.0, 50.0, 50.0 |"
    rows = tables.searches(values, 240).splitlines()[2:]
    assert rows[0] == "| MixMAE | 0.0005 | 60.0 | 59.0 | 99 |"
    assert rows[1] == "| MixMAE | 0.002 | 60.0 | 59.0 | 240* |"
