import pytest
import torch
from tiny_run import toy_runner

from mim_plugins.engine.loops.hub_owner import own_message_hub

OF_A_RUN = {"corrupt_images", "best_score", "early_stopping"}


def runners(folder):
    """Return two runners that share a message hub, as if built within a second."""
    pair = toy_runner(folder / "first"), toy_runner(folder / "other")
    pair[1].message_hub = pair[0].message_hub
    return pair


@pytest.mark.parametrize("is_built", [False, True])
def test_run_with_the_message_hub_of_another_one_trains(tmp_path, is_built):
    first, other = runners(tmp_path)
    if is_built:
        assert len(first.train_dataloader) == len(other.train_dataloader) == 2
    else:
        first.message_hub.update_info("own", 1)
    first.train()
    assert is_built or first.message_hub.get_info("own") == 1
    for key in OF_A_RUN:
        first.message_hub.update_info(key, {})
    weight = other.train().weight
    assert other.iter == 4
    assert torch.equal(weight, first.model.weight)
    assert not OF_A_RUN & {*other.message_hub.runtime_info}
    assert "experiment_name" in other.message_hub.runtime_info


def test_second_loop_of_a_run_keeps_its_values(tmp_path):
    runner = toy_runner(tmp_path)
    runner.train()
    runner.message_hub.update_info("best_score", 0.9)
    runner.build_train_loop(dict(type="mim_plugins.ResumableIterLoop", max_iters=6))
    runner.train()
    assert runner.message_hub.get_info("best_score") == 0.9


def test_checkpoint_loaded_before_the_start_is_kept(tmp_path):
    first, other = runners(tmp_path)
    first.train()
    other._resume = True  # otherwise the hook loads weights only
    other.resume(str(tmp_path / "first/iter_2.pth"))
    other.message_hub.update_info("best_score", 0.9)
    other.train()
    assert other.message_hub.get_info("best_score") == 0.9
    assert torch.equal(other.model.weight, first.model.weight)


def test_hub_of_a_deleted_runner_is_cleared(tmp_path):
    first, other = runners(tmp_path)
    own_message_hub(first)
    hub = first.message_hub
    hub.update_info("best_score", 0.9)
    del first
    own_message_hub(other)
    assert not hub.runtime_info
