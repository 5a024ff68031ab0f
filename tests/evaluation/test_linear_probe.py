import pytest
import torch

from mim_plugins.evaluation import LabeledFeatures, linear_probe_accuracy


def clusters(count, seed, noise=0.5, classes=8, channels=6):
    """Features around one center per class, of which some have a tiny or constant channel."""
    centers = torch.randn(classes, channels, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    features = centers[labels] + noise * torch.randn(count, channels, generator=generator)
    return LabeledFeatures(features * torch.tensor([1, 1e-3, 100, 1, 1, 0]) + 3, labels)


def test_separable_classes_are_learned():
    top1, top5 = linear_probe_accuracy(clusters(200, 1, 0.05), clusters(80, 2, 0.05))
    assert (top1, top5) == (100.0, 100.0)


def test_random_labels_are_not_predicted():
    references, queries = clusters(200, 1), clusters(400, 2)
    shuffled = queries.labels[torch.randperm(400, generator=torch.Generator().manual_seed(3))]
    top1, top5 = linear_probe_accuracy(references, LabeledFeatures(queries.features, shuffled))
    assert top1 == pytest.approx(100 / 8, abs=6)
    assert top5 == pytest.approx(500 / 8, abs=9)


def test_few_classes_are_all_among_the_top_five():
    top1, top5 = linear_probe_accuracy(clusters(40, 1, 9, 3), clusters(41, 2, 9, 3))
    assert top1 < top5 == 100.0


def test_result_repeats_and_leaves_features_and_generators_alone(monkeypatch):
    monkeypatch.setattr("mim_plugins.evaluation.linear_probe._BATCH", 64)
    references, queries = clusters(200, 1), clusters(80, 2)
    before = [references.features.clone(), torch.get_rng_state()]
    first = linear_probe_accuracy(references, queries)
    assert torch.equal(references.features, before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert not references.features.requires_grad
    assert linear_probe_accuracy(references, queries) == first
    assert 50 < first[0] < 100


def test_half_precision_is_computed_in_float32():
    references, queries = clusters(200, 1), clusters(80, 2)
    halves = [LabeledFeatures(each.features.half(), each.labels) for each in (references, queries)]
    expected = [LabeledFeatures(each.features.float(), each.labels) for each in halves]
    assert linear_probe_accuracy(*halves) == linear_probe_accuracy(*expected)
