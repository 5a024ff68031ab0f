import pytest
import torch
from mmengine.evaluator import Evaluator
from tiny_run import ToyModel, toy_runner
from two_processes import DISTRIBUTED, in_two_processes
from validated_run import FINITE, LOSSES, Classifier, Loss, Seen

from mim_plugins.engine.resume.resume_source import set_resume_source
from mim_plugins.errors import CheckpointError


@pytest.fixture
def folder(tmp_path):
    toy_runner(tmp_path, iterations=2).train()
    return tmp_path


def resumed(folder, model=None, **settings):
    """Return a runner with everything that it has when MMEngine loads the checkpoint."""
    runner = toy_runner(folder, model, iterations=3, resume=True, **settings)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    return runner


@pytest.mark.parametrize(("corrupt", "chosen"), [(False, "iter_2.pth"), (True, "iter_1.pth")])
def test_newest_complete_file_is_chosen_with_a_warning(folder, caplog, corrupt, chosen):
    if corrupt:
        (folder / "iter_2.pth").write_bytes(b"PK")
    runner = resumed(folder)
    runner.logger.addHandler(caplog.handler)
    set_resume_source(runner, None)
    assert runner._load_from == str(folder / chosen)
    assert ("iter_2.pth is corrupt" in caplog.text) == corrupt


def test_other_models_are_rejected_before_anything_is_loaded(folder):
    model = ToyModel()
    model.more = torch.nn.Linear(1, 1)
    with pytest.raises(CheckpointError, match="a different model"):
        set_resume_source(resumed(folder, model), None)


def choose(rank, folder):
    runner = resumed(folder / str(rank), **DISTRIBUTED)
    try:
        set_resume_source(runner, None)
    except CheckpointError as error:
        return str(error)
    return runner._load_from


@pytest.mark.parametrize("corrupt", [False, True])
def test_all_processes_follow_the_choice_of_the_first(tmp_path, corrupt):
    """The folder of the second process, such as a local disk, is not read."""
    toy_runner(tmp_path / "0", iterations=2).train()
    if corrupt:
        for file in (tmp_path / "0").glob("*.pth"):
            file.write_bytes(b"PK")
    codes, chosen = in_two_processes(choose, tmp_path)
    assert codes == [0, 0]
    assert chosen[0] == chosen[1]
    assert ("none can be resumed" in chosen[0]) == corrupt
    assert chosen[0].endswith("iter_2.pth") == (not corrupt)


@pytest.mark.parametrize("checkpoint", [dict(max_keep_ckpts=1), dict(save_optimizer=False)])
@pytest.mark.parametrize("first", [[6], [12]], ids=["resumed", "nothing_to_resume"])
def test_run_that_has_loaded_is_used_again(tmp_path, first, checkpoint):
    """The file that it was resumed from may be removed or contain weights alone."""
    for end in [*first, 12] if "max_keep_ckpts" in checkpoint else [12]:
        runner = toy_runner(
            tmp_path,
            Classifier(),
            iterations=end,
            checkpoint=checkpoint,
            resume=True,
            val_dataloader=FINITE,
            val_cfg=dict(),
            val_evaluator=Evaluator(Loss(Seen(None))),
            test_dataloader=FINITE,
            test_cfg=dict(),
            test_evaluator=Evaluator(Loss(Seen(None))),
        )
        runner.train()
    weight = runner.model.weight.detach().clone()
    assert runner.val() == runner.test() == {"val/loss": LOSSES[-1]}
    runner.train()
    assert torch.equal(runner.model.weight, weight)
