import copy
import json
import os
from pathlib import Path

import pytest
import torch
from parity import TOLERANCES, compare_with_trajectory, is_trajectory
from trajectory_files import MODELS_OF, make_trajectory

from mim_plugins.checkpoints import read_reference

pytest.importorskip("mmpretrain", exc_type=ImportError)

DATA = Path(__file__).parents[2] / "data"
NAMES = ("mcmae_finetune", "mcmae_pretrain", "mixmim_finetune", "mixmim_pretrain")


def as_read(content):
    """Return the result of ``read_reference`` for a file of this content."""
    nested = {}
    for key, value in content.items():
        group, _, name = key.partition("/")
        value = str(value) if value.dtype.kind == "U" else torch.from_numpy(value)
        if name:
            nested.setdefault(group, {})[name] = value
        else:
            nested[key] = value
    return nested


def wrong(comparison):
    return {
        name
        for name, error in comparison.errors.items()
        if not error <= TOLERANCES[name.partition("/")[0]]
    }


@pytest.fixture(scope="module")
def written():
    return as_read(make_trajectory("mixmim_finetune"))


@pytest.fixture
def reference(written):
    return copy.deepcopy(written)


def change_config(reference, **changes):
    reference["config"] = json.dumps(json.loads(reference["config"]) | changes)


@pytest.mark.parametrize("name", NAMES)
def test_recipes_reproduce_the_runs_of_the_authors(name):
    folder = Path(os.environ.get("MIM_PLUGINS_REFERENCES", DATA))
    if not (folder / f"trajectory_{name}.npz").exists():
        pytest.skip("set MIM_PLUGINS_REFERENCES to the folder of the authors' training runs")
    reference = read_reference(folder / f"trajectory_{name}.npz")

    comparison = compare_with_trajectory(reference)

    assert is_trajectory(reference)
    assert wrong(comparison) == set()
    assert len(reference["lr"]) == sum(key.startswith("loss/") for key in comparison.errors) == 20
    assert f"weight_decay={0.5} (0.05)" in comparison.differences


@pytest.mark.parametrize("method", MODELS_OF)
def test_runs_of_other_sizes_and_lengths_are_reproduced(method):
    reference = as_read(make_trajectory(method))

    comparison = compare_with_trajectory(reference)

    assert wrong(comparison) == set()
    trained = set(reference["lr_scale"])
    for quantity in ("lr_scale", "weight_decay", "final_norm", "change_norm"):
        found = {key for key in comparison.errors if key.startswith(f"{quantity}/")}
        assert found == {f"{quantity}/{name}" for name in trained}
    differences = " ".join(comparison.differences)
    for key in ("lr", "min_lr", "epochs", "weight_decay", "betas", "mean", "std"):
        assert f"{key}=" in differences


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("mixmim_finetune", dict(warmup_epochs=0, layer_decay=1.0)),
        ("mcmae_finetune", dict(warmup_epochs=2, epochs=40, iterations_per_epoch=2)),
        ("mixmim_finetune", dict(warmup_epochs=0.5, iterations_per_epoch=4)),
        ("mixmim_finetune", dict(warmup_epochs=0.29, iterations_per_epoch=100, steps=32)),
        ("mixmim_finetune", dict(warmup_epochs=3)),
        ("mixmim_finetune", dict(warmup_epochs=7.1)),
        ("mcmae_pretrain", dict(min_lr=0.0, model=MODELS_OF["mcmae_pretrain"] | dict(img_size=64))),
    ],
)
def test_runs_of_other_schedules_are_reproduced(method, changes):
    assert wrong(compare_with_trajectory(as_read(make_trajectory(method, 2, **changes)))) == set()


def test_unsigned_numbers_of_images_are_accepted(reference):
    reference["order"] = reference["order"].to(torch.uint16)

    assert wrong(compare_with_trajectory(reference)) == set()


def test_a_wrong_number_changes_only_its_own_error(reference):
    changed = set()
    for quantity, key in [("lr", 3), ("loss", 2), ("lr_scale", "head.weight"),
                          ("weight_decay", "norm.bias"), ("final_norm", "head.bias"),
                          ("change_norm", "patch_embed.proj.weight")]:  # fmt: skip
        entries = reference[quantity]
        entries[key] = entries[key] * 1.001 + (quantity == "weight_decay")
        changed.add(f"{quantity}/{key}")

    assert wrong(compare_with_trajectory(reference)) == changed


def test_another_start_is_detected(reference):
    reference["param"]["norm.weight"][0] *= 2

    assert {"loss/0", "final_norm/norm.weight"} <= wrong(compare_with_trajectory(reference))


def test_other_images_are_detected(reference):
    reference["images"] = reference["images"].flip(1)  # colors in the other order

    assert "loss/0" in wrong(compare_with_trajectory(reference))


def test_parameters_that_only_one_side_trains_are_errors(reference):
    for quantity in ("lr_scale", "weight_decay", "final_norm", "change_norm"):
        del reference[quantity]["norm.bias"]
        reference[quantity]["absolute_pos_embed"] = torch.tensor(1.0)

    errors = compare_with_trajectory(reference).errors

    assert errors["lr_scale/absolute_pos_embed"] == float("inf")
    assert errors["change_norm/backbone.norm.bias"] == float("inf")


def test_key_biases_may_move_as_far_as_their_rates(reference):
    name = "layers.1.blocks.0.attn.qkv.bias"
    reach = float(reference["lr"].sum()) * float(reference["lr_scale"][name])
    norm = reference["change_norm"][name]
    keys = len(reference["param"][name]) // 3

    reference["change_norm"][name] = (norm**2 + 0.9 * keys * reach**2).sqrt()
    assert wrong(compare_with_trajectory(reference)) == set()

    reference["change_norm"][name] = 1.1 * (norm**2 + 4 * keys * reach**2).sqrt()
    assert wrong(compare_with_trajectory(reference)) == {f"change_norm/{name}"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(method="beit_pretrain"), "method='beit_pretrain' must be one of mixmim_pretrain"),
        (dict(clip_grad=1.0), r"unknown entries \['clip_grad'\]"),
        (dict(betas=None), r"missing entries \['betas'\]"),
        (dict(betas=[0.9]), r"betas=\[0.9\] must be a list of two numbers"),
        (dict(lr=0), "lr=0 must be above 0"),
        (dict(epochs="4"), "epochs='4' must be a whole number"),
        (dict(model=3), "model=3 must be a dict of sizes"),
        (dict(model=dict(embed_dim=8)), r"missing entries \['depths', 'num_heads', 'window_size'"),
        (dict(epochs=2), "steps=7 must be at most 6, the iterations of epochs=2"),
        (dict(warmup_epochs=0.5), "warmup_epochs=0.5 of 3 iterations are 1.5 iterations"),
        (
            dict(model=MODELS_OF["mixmim_finetune"] | dict(patch_size=0)),
            "patch_size=0 must contain numbers above 0",
        ),
        (dict(steps=6), r"targets has shape \(7, 3, 5\); expected \(T, B, K\)"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(reference, changes, message):
    change_config(reference, **changes)

    with pytest.raises(ValueError, match=message):
        compare_with_trajectory(reference)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("targets", None, r"missing entries \['targets'\]"),
        ("lr_scale", None, r"missing entries \['lr_scale'\]"),
        ("lr_scale", lambda scales: scales | dict(x=scales["head.bias"]), "there is no param/x"),
        ("surprise", lambda _: torch.ones(1), r"unknown entries \['surprise'\]"),
        ("lr", lambda lr: lr[1:], r"lr has shape \(6,\); expected \(T\)"),
        ("images", lambda images: images[:, :1], r"images has shape .* expected \(N, 3, H, W\)"),
        ("targets", lambda targets: targets[..., :1], "targets contains one class"),
        ("order", lambda order: order + 5, "order must contain integers from 0 to 4"),
        ("order", lambda order: order - 1, "order must contain integers from 0 to 4"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(reference, name, change, message):
    if change is None:
        del reference[name]
    else:
        reference[name] = change(reference.get(name))

    with pytest.raises(ValueError, match=message):
        compare_with_trajectory(reference)
