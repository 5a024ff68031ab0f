from mmengine.config import Config

from mim_plugins.cli.dataset_configs import (
    dataset_configs,
    evaluator_configs,
    hook_dataset_configs,
)


def part(root):
    return dict(type="CustomDataset", data_root=root)


def test_data_sets_of_chosen_loaders_are_found_in_wrappers():
    wrapped = dict(
        type="RepeatDataset",
        dataset=dict(type="ConcatDataset", datasets=[part("A"), part("B")]),
    )
    cfg = Config(
        dict(
            train_dataloader=dict(dataset=wrapped),
            val_dataloader=None,
            test_dataloader=dict(dataset=part("C")),
        )
    )
    assert [each["data_root"] for each in dataset_configs(cfg)] == ["A", "B", "C"]
    assert [each["data_root"] for each in dataset_configs(cfg, ("test_dataloader",))] == ["C"]
    dataset_configs(cfg)[0]["data_root"] = "new"  # not a copy
    assert cfg.train_dataloader.dataset.dataset.datasets[0].data_root == "new"


def test_data_sets_of_hooks_are_named_by_their_field():
    knn = dict(type="mim_plugins.KNNHook", queries=dict(type="RepeatDataset", dataset=part("A")))
    cfg = Config(
        dict(
            default_hooks=dict(knn=knn | dict(references=part("B")), timer=None),
            custom_hooks=[dict(type="EMAHook"), knn],
        )
    )
    found = hook_dataset_configs(cfg)
    roots = {field: [each.data_root for each in parts] for field, parts in found.items() if parts}
    assert roots == {
        "default_hooks.knn.references": ["B"],
        "default_hooks.knn.queries": ["A"],
        "custom_hooks.1.queries": ["A"],
    }
    assert hook_dataset_configs(Config({})) == {}


def test_metrics_are_found_with_and_without_lists():
    one, other = dict(type="Accuracy"), dict(type="CocoMetric")
    cfg = Config(dict(val_evaluator=[one, other], test_evaluator=other))
    assert [each.type for each in evaluator_configs(cfg)] == [
        *("Accuracy", "CocoMetric", "CocoMetric")
    ]
    assert list(evaluator_configs(Config(dict(val_evaluator=None)))) == []
