import json
from pathlib import Path

import pytest
import torch
from parity import compare_with_reference, relative_error

from mim_plugins.checkpoints import read_reference

DATA = Path(__file__).parents[2] / "data"
SHARED_QUANTITIES = ("loss", "latent", "reconstruction")
# file: quantities in addition to gradient norms, and a weight that affects the latent
REFERENCES = dict(
    mixmim_tiny=((*SHARED_QUANTITIES, "finetune_features"), "layers.1.downsample.reduction.weight"),
    mcmae_tiny=(SHARED_QUANTITIES, "stage1_output_decode.weight"),
)


@pytest.fixture(params=sorted(REFERENCES))
def name(request):
    return request.param


@pytest.fixture
def reference(name):
    return read_reference(DATA / f"{name}.npz")


def test_our_model_reproduces_the_authors_numbers(reference, name):
    errors = compare_with_reference(reference)
    gradients = {f"grad_norm/{parameter}" for parameter in reference["grad_norm"]}
    assert len(gradients) > 50
    assert set(errors) == {*REFERENCES[name][0], *gradients}
    assert max(errors.values()) < 1e-4


def test_every_trained_weight_is_compared(reference, name):
    trained = {key for key in reference["param"] if not key.endswith(("pos_embed", "_index"))}
    assert set(reference["grad_norm"]) == trained


def test_a_wrong_number_changes_only_its_own_error(reference, name):
    for quantity in REFERENCES[name][0]:
        right = reference[quantity]
        reference[quantity] = right * 1.01
        errors = compare_with_reference(reference)
        assert errors.pop(quantity) > 1e-3
        assert max(errors.values()) < 1e-4
        reference[quantity] = right


def test_a_wrong_weight_is_detected(reference, name):
    reference["param"][REFERENCES[name][1]] *= 1.01
    assert compare_with_reference(reference)["latent"] > 1e-4


def test_a_wrong_gradient_norm_is_detected(reference):
    reference["grad_norm"]["mask_token"] *= 1.01
    assert compare_with_reference(reference)["grad_norm/mask_token"] > 1e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config.update(ape=False), r"unknown entries \['ape'\]"),
        (lambda config: config.pop("num_heads"), r"missing entries \['num_heads'\]"),
    ],
)
def test_unknown_and_missing_entries_of_the_config_are_refused(reference, change, message):
    config = json.loads(reference["config"])
    change(config)
    with pytest.raises(ValueError, match=message):
        compare_with_reference(reference | dict(config=json.dumps(config)))


def test_a_known_layout_without_a_parity_check_is_refused():
    weights = {
        "cls_token": torch.zeros(1, 1, 8),
        "pos_embed": torch.zeros(1, 5, 8),
        "blocks.0.attn.qkv.weight": torch.zeros(24, 8),
        "patch_embed.proj.weight": torch.zeros(8, 3, 2, 2),
    }
    with pytest.raises(ValueError, match="no parity check for checkpoints of MAE of the authors"):
        compare_with_reference(dict(param=weights, config="{}"))


def test_relative_error_is_infinite_for_shapes_and_nan():
    assert relative_error(torch.ones(2), torch.ones(3)) == float("inf")
    assert relative_error(torch.tensor(float("nan")), torch.tensor(1.0)) == float("inf")
    assert relative_error(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5])) == pytest.approx(0.2)
