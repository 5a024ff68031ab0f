import math

import pytest
import torch

from mim_plugins.evaluation import LabeledFeatures, check_neighbors, knn, knn_accuracy


def random_features(count, classes=7, dim=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    features = torch.randn(count, dim, generator=generator)
    features[:, 0] += labels
    return LabeledFeatures(features, labels)


def by_hand(references, queries, k, temperature):
    """Sum the votes of one query at a time, with Python's numbers."""
    first = among_five = 0
    for query, label in zip(queries.features, queries.labels.tolist(), strict=True):
        similarities = torch.cosine_similarity(references.features, query[None]).tolist()
        nearest = sorted(range(len(similarities)), key=lambda i: -similarities[i])[:k]
        votes = {}
        for index in nearest:
            vote = int(references.labels[index])
            votes[vote] = votes.get(vote, 0.0) + math.exp(similarities[index] / temperature)
        ranking = sorted(votes, key=lambda vote: -votes[vote])
        first += ranking[0] == label
        among_five += label in ranking[:5]
    return 100 * first / len(queries.labels), 100 * among_five / len(queries.labels)


@pytest.mark.parametrize("k", [1, 3, 40])
@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_equals_the_definition(k, temperature):
    references, queries = random_features(40), random_features(30, seed=1)
    result = knn_accuracy(references, queries, (k,), temperature)
    assert result[k] == pytest.approx(by_hand(references, queries, k, temperature))


def test_several_k_at_once_equal_one_at_a_time():
    references, queries = random_features(40), random_features(30, seed=1)
    together = knn_accuracy(references, queries, (20, 5, 5, 1))
    assert list(together) == [1, 5, 20]
    for k, accuracy in together.items():
        assert accuracy == knn_accuracy(references, queries, (k,))[k]


@pytest.mark.parametrize("elements", [1, 7 * 40, 2**20])
def test_chunks_do_not_change_the_result(monkeypatch, elements):
    references, queries = random_features(40), random_features(30, seed=1)
    expected = knn_accuracy(references, queries, (5,))
    monkeypatch.setattr(knn, "_MAX_ELEMENTS", elements)
    assert knn_accuracy(references, queries, (5,)) == expected


def test_the_length_of_features_has_no_influence():
    references, queries = random_features(40), random_features(30, seed=1)
    lengths = torch.rand(40, 1) * 10 + 0.1
    longer = LabeledFeatures(references.features * lengths, references.labels)
    assert knn_accuracy(longer, queries, (5,)) == knn_accuracy(references, queries, (5,))


def test_near_neighbors_outweigh_more_distant_ones():
    references = LabeledFeatures(
        torch.tensor([[1.0, 0.0], *[[0.0, 1.0]] * 9]), torch.tensor([0, *[1] * 9])
    )
    query = LabeledFeatures(torch.tensor([[1.0, 0.1]]), torch.tensor([0]))
    assert knn_accuracy(references, query, (10,))[10].top1 == 100
    assert knn_accuracy(references, query, (10,), temperature=100.0)[10].top1 == 0


def test_a_class_without_a_neighbor_is_not_among_the_five_first():
    references = LabeledFeatures(torch.eye(6), torch.arange(6))
    query = LabeledFeatures(torch.eye(6)[:1], torch.tensor([3]))
    assert knn_accuracy(references, query, (1,))[1] == (0, 0)
    # a class that no reference has
    query = LabeledFeatures(torch.eye(6)[:1], torch.tensor([9]))
    assert knn_accuracy(references, query, (6,))[6] == (0, 0)


@pytest.mark.parametrize("temperature", [1e-6, 1e6])
def test_extreme_temperatures_stay_finite(temperature):
    references = random_features(40)
    # each query's nearest reference is itself
    result = knn_accuracy(references, references, (1, 40), temperature)
    assert result[1].top1 == 100
    assert (result[40].top1 == 100) == (temperature < 1)


@pytest.mark.parametrize(
    ("ks", "temperature", "message"),
    [
        ((11,), 0.07, r"k=\(11,\).*reference images, which is 10.*smaller k"),
        ((5, 0), 0.07, r"k=\(5, 0\) must be between 1"),
        ((), 0.07, r"k=\(\)"),
        ((5,), 0.0, "temperature=0.0 must be above 0"),
        ((5,), math.nan, "temperature=nan"),
    ],
)
def test_wrong_numbers_are_refused(ks, temperature, message):
    with pytest.raises(ValueError, match=message):
        check_neighbors(ks, 10, temperature)
    with pytest.raises(ValueError, match=message):
        knn_accuracy(random_features(10), random_features(5), ks, temperature)


def test_features_that_do_not_fit_are_refused():
    wide, narrow = random_features(10, dim=5), random_features(10, dim=4)
    with pytest.raises(ValueError, match=r"\(10, 5\) and queries \(10, 4\)"):
        knn_accuracy(wide, narrow, (1,))
    with pytest.raises(ValueError, match="at least one row"):
        knn_accuracy(wide, LabeledFeatures(wide.features[:0], wide.labels[:0]), (1,))
    with pytest.raises(ValueError, match="10 references have 9 labels"):
        knn_accuracy(LabeledFeatures(wide.features, wide.labels[1:]), wide, (1,))
