import pytest
from mmengine.config import Config
from mmengine.runner.priority import Priority

from mim_plugins.apis import list_models, read_config
from mim_plugins.config import wrong_choice

HOOK = dict(type="EMAHook")


@pytest.mark.parametrize(
    ("entries", "path", "hint"),
    [
        (dict(log_level="DEBG"), "log_level", "did you mean DEBUG?"),
        (dict(log_level=None), "log_level", "CRITICAL"),
        (dict(custom_hooks=[HOOK | dict(priority="VERY_HIGHT")]), "custom_hooks.0.priority",
         "did you mean VERY_HIGH?"),
        (dict(default_hooks=dict(a=HOOK | dict(priority=101))), "default_hooks.a.priority",
         "0 to 100"),
        (dict(custom_hooks=[HOOK | dict(priority=-1)]), "custom_hooks.0.priority", "0 to 100"),
        (dict(randomness=dict(seed=1.5)), "randomness.seed", "integer"),
        (dict(randomness=dict(seed=-1)), "randomness.seed", "0 to 4294967295"),
        (dict(randomness=dict(seed=True)), "randomness.seed", "integer"),
    ],
)  # fmt: skip
def test_a_wrong_choice_is_named_with_what_is_allowed(entries, path, hint):
    problem = wrong_choice(Config(entries))
    assert problem.startswith(f"'{path}': ")
    assert hint in problem


@pytest.mark.parametrize(
    "entries",
    [
        dict(log_level="DEBUG", randomness=dict(seed=None)),
        dict(log_level=10, randomness=dict(seed=0)),
        dict(custom_hooks=[HOOK | dict(priority=p) for p in ("low", "VERY_LOW", 0, 55)]),
        dict(custom_hooks=[HOOK | dict(priority=Priority.LOW)]),
        dict(test_pipeline=[dict(interpolation=each) for each in ("random", "BICUBIC", 3)]),
        dict(log_processor=dict(custom_cfg=[dict(data_src="loss1", method_name="own")])),
        dict(custom_hooks=[HOOK | dict(task=dict(priority="urgent", seed=-1))]),
        dict(model=dict(interpolation="trilinear"), train_dataloader=None),
    ],
)
def test_allowed_choices_pass(entries):
    assert wrong_choice(Config(entries)) is None


@pytest.mark.parametrize("name", ["mixmae/swin_b_finetune_100e", "mrmae/vit_b_200e"])
def test_recipes_have_no_wrong_choice(name):
    assert name in list_models()
    assert wrong_choice(read_config(name)) is None
