import pytest
from parity.trajectory_recipe import KINDS, read_settings

from mim_plugins.apis import list_models

SETTINGS = dict(
    method="mixmim_finetune", model={}, steps=8, iterations_per_epoch=4, lr=1e-3, min_lr=0.0,
    warmup_epochs=0.5, epochs=2, weight_decay=0.05, betas=[0.9, 0.95], mean=[0, 0, 0],
    std=[1, 1, 1],
)  # fmt: skip


def test_layer_decay_is_1_unless_it_is_given():
    assert read_settings(SETTINGS)["layer_decay"] == 1.0
    assert read_settings(SETTINGS | dict(layer_decay=None))["layer_decay"] == 1.0
    assert read_settings(SETTINGS | dict(layer_decay=0.7))["layer_decay"] == 0.7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(method="mae"), "method='mae' must be one of mixmim_pretrain"),
        (dict(steps=9), "steps=9 must be at most 8"),
        (dict(warmup_epochs=0.3), "the recipe's cosine begins at a whole iteration"),
        (dict(steps=1.5), "steps=1.5 must be a whole number"),
        (dict(lr=0), "lr=0 must be above 0"),
        (dict(mean=[1, 2]), "mean=.* must be a list of three numbers"),
        (dict(betas=0.9), "betas=0.9 must be a list of two numbers"),
    ],
)
def test_unusable_settings_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        read_settings(SETTINGS | change)


def test_every_kind_has_a_shipped_recipe():
    recipes = {kind.recipe.removesuffix(".py") for kind in KINDS.values()}
    assert recipes <= set(list_models())
