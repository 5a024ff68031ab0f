import copy
import json
from pathlib import Path

import pytest
import torch

from mim_plugins.checkpoints import compare_with_reference, read_reference, relative_error

GOLDEN = Path(__file__).parents[1] / "data/mixmim_tiny.npz"


@pytest.fixture(scope="module")
def golden():
    return read_reference(GOLDEN)


@pytest.fixture
def reference(golden):
    return copy.deepcopy(golden)


def test_our_model_reproduces_the_authors_numbers(reference):
    errors = compare_with_reference(reference)
    assert set(errors) >= {"loss", "latent", "reconstruction", "finetune_features"}
    assert sum(name.startswith("grad_norm/") for name in errors) == len(reference["grad_norm"])
    assert max(errors.values()) < 1e-4


@pytest.mark.parametrize("quantity", ["latent", "reconstruction", "finetune_features", "loss"])
def test_a_wrong_number_is_seen(reference, quantity):
    reference[quantity] = reference[quantity] * 1.01
    assert compare_with_reference(reference)[quantity] > 1e-3


def test_a_wrong_weight_is_seen(reference):
    reference["param"]["layers.1.downsample.reduction.weight"] *= 1.01
    assert compare_with_reference(reference)["latent"] > 1e-4


def test_a_wrong_gradient_norm_is_seen(reference):
    reference["grad_norm"]["mask_token"] *= 1.01
    assert compare_with_reference(reference)["grad_norm/mask_token"] > 1e-3


def test_unknown_entries_of_the_config_are_refused(reference):
    config = json.loads(reference["config"]) | {"ape": False}
    reference["config"] = json.dumps(config)
    with pytest.raises(ValueError, match="ape"):
        compare_with_reference(reference)


def test_relative_error_is_infinite_for_shapes_and_nan():
    assert relative_error(torch.ones(2), torch.ones(3)) == float("inf")
    assert relative_error(torch.tensor(float("nan")), torch.tensor(1.0)) == float("inf")
    assert relative_error(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5])) == pytest.approx(0.2)
