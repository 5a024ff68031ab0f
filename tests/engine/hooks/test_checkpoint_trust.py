import pickle

import pytest
import torch
from checkpoint_runs import hook_of, logged_runner
from mmengine.runner import Runner
from stacks import ON_FORKS
from tiny_run import ToyModel, toy_runner

from mim_plugins.cli import ConsoleRunner
from mim_plugins.errors import CheckpointError


class Malicious:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


@pytest.mark.parametrize("automatic", [True, False])
def test_code_in_the_metadata_never_runs(tmp_path, caplog, automatic):
    toy_runner(tmp_path / "run", iterations=1).train()
    file = tmp_path / "run/iter_1.pth"
    checkpoint = torch.load(file, weights_only=False)
    checkpoint["meta"]["config"] = f"open({str(tmp_path / 'executed')!r}, 'w')"
    torch.save(checkpoint, file)
    given = None if automatic else str(file)
    runner = logged_runner(caplog, tmp_path / "run", iterations=2, resume=True, load_from=given)
    runner.train()
    assert runner.iter == 2
    assert "meta['config'] of the checkpoint is ignored" in caplog.text
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("how", ["resume", "auto", "load_from", "init_cfg"])
@pytest.mark.parametrize("runner", [Runner, ConsoleRunner])
def test_malicious_pickle_is_rejected(tmp_path, how, runner):
    if runner is Runner and ON_FORKS:
        pytest.skip("onedl-mmengine's Runner runs it: docs/compatibility.md")
    (tmp_path / "run").mkdir()
    file = tmp_path / "run/iter_1.pth"
    toy_runner(tmp_path / "good", iterations=1).train()
    checkpoint = torch.load(tmp_path / "good/iter_1.pth", weights_only=False)
    torch.save(checkpoint | dict(extra=Malicious(tmp_path / "executed")), file)
    model = ToyModel()
    if how == "init_cfg":
        model.init_cfg = dict(type="Pretrained", checkpoint=str(file))
    runner = toy_runner(
        tmp_path / "run",
        model=model,
        resume=how in ("resume", "auto"),
        load_from=str(file) if how in ("resume", "load_from") else None,
        runner=runner,
    )
    refusal = "open|Weights only load failed"
    with pytest.raises((pickle.UnpicklingError, CheckpointError), match=refusal):
        runner.train()
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("named", ["precious.txt", "best_acc.pth"])
def test_checkpoint_cannot_cause_removal_of_other_files(tmp_path, named):
    best = dict(save_best="acc", rule="greater")
    runner = toy_runner(tmp_path / "run", iterations=1, checkpoint=best)
    runner.message_hub.update_info_dict(dict(best_ckpt=str(tmp_path / named), best_score=0.1))
    runner.train()
    (tmp_path / named).write_text("of somebody else")
    (tmp_path / "run/best_acc.pth").write_text("the best so far")

    runner = toy_runner(tmp_path / "run", iterations=2, checkpoint=best, resume=True)
    runner.train()
    hook = hook_of(runner)
    hook.after_val_epoch(runner, dict(acc=0.5))
    hook.finish_saving()

    assert (tmp_path / named).read_text() == "of somebody else"
    assert (tmp_path / "run/best_acc.pth").exists() == (named == "precious.txt")
