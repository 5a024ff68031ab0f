"""Kill a run at random times while it saves checkpoints, resume it, and count lost runs.

The same run is killed and resumed repeatedly. A run is lost if the next process cannot resume, or
resumes from an earlier iteration than that of a complete checkpoint; a new run then starts in an
empty folder. ``--hook mmengine`` uses MMEngine's hook and loop.
"""

import argparse
import multiprocessing
import random
import shutil
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn

import mim_plugins  # noqa: F401  registers everything

KINDS = dict(
    mim_plugins=("mim_plugins.AtomicCheckpointHook", "mim_plugins.ResumableIterLoop"),
    mmengine=("CheckpointHook", "IterBasedTrainLoop"),
)


class Model(BaseModel):
    """Model of one weight, and of a buffer that makes the checkpoint large."""

    def __init__(self, megabytes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.register_buffer("padding", torch.rand(megabytes * 2**18))

    def forward(self, inputs: Tensor, mode: str = "loss") -> dict[str, Tensor]:
        """Return the loss."""
        return dict(loss=(self.weight - inputs.float().mean()).square().sum())


class Images:
    """Numbers that replace images."""

    metainfo: dict = {}

    def __len__(self) -> int:
        """Return the numbers of an epoch."""
        return 64

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return a number."""
        return dict(inputs=torch.tensor([index]))


class Report(Hook):
    """Send the first iteration and, repeatedly, the last saved one to the parent process."""

    priority = "LOWEST"

    def __init__(self, parent: Connection) -> None:
        self.parent = parent

    def before_train(self, runner: Runner) -> None:
        """Send the first iteration."""
        self.parent.send(runner.iter)

    def after_train_iter(self, runner: Runner, *args: object, **kwargs: object) -> None:
        """Send the last saved iteration, once the first file is complete."""
        hook = next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
        if hook.last_ckpt is not None:
            self.parent.send(int(Path(hook.last_ckpt).stem.removeprefix("iter_")))


def train(work_dir: str, hook: str, megabytes: int, keep: int, parent: Connection) -> None:
    """Resume the run in ``work_dir``, and save after every iteration until killed."""
    torch.set_num_threads(1)
    hook_type, loop_type = KINDS[hook]
    runner = Runner(
        model=Model(megabytes),
        work_dir=work_dir,
        train_dataloader=dict(
            batch_size=4,
            dataset=Images(),
            sampler=dict(type="InfiniteSampler", shuffle=True),
            collate_fn=dict(type="default_collate"),
        ),
        train_cfg=dict(type=loop_type, max_iters=10**6),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        default_hooks=dict(
            logger=None,
            checkpoint=dict(type=hook_type, interval=1, by_epoch=False, max_keep_ckpts=keep),
        ),
        resume=True,
        log_level="ERROR",
        randomness=dict(seed=0),
        experiment_name="kill_resume",
    )
    runner.register_hook(Report(parent), priority="LOWEST")
    runner.train()


def attempt(arguments: argparse.Namespace, work_dir: Path, delay: float) -> list[int]:
    """Run one process until it is killed or fails, and return the iterations that it sent."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=train,
        args=(str(work_dir), arguments.hook, arguments.megabytes, arguments.keep, theirs),
    )
    process.start()
    theirs.close()
    reported = []
    try:
        reported.append(ours.recv())
        time.sleep(delay)
        process.kill()
        while True:
            reported.append(ours.recv())
    except EOFError:
        process.join()
    return reported


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="number of kills")
    parser.add_argument("--hook", choices=sorted(KINDS), default="mim_plugins")
    parser.add_argument("--megabytes", type=int, default=40, help="size of a checkpoint")
    parser.add_argument("--keep", type=int, default=1, help="max_keep_ckpts")
    parser.add_argument("--longest", type=float, default=2.0, help="maximum seconds until a kill")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    folder = Path(tempfile.mkdtemp(prefix="kill_resume_"))
    failed = restarted = saved = complete = 0
    for _ in range(arguments.kills + 1):
        reported = attempt(arguments, folder, moments.uniform(0, arguments.longest))
        if not reported or (complete and reported[0] < complete):
            failed += not reported
            restarted += bool(reported)
            print(f"lost: {complete} iterations were saved, {reported[:1] or 'no'} resumed")
            shutil.rmtree(folder)
            complete = 0
            continue
        saved += max(len(set(reported)) - 1, 0)
        complete = reported[-1]
    shutil.rmtree(folder, ignore_errors=True)
    print(
        f"{arguments.hook}: {arguments.kills} kills, {saved} checkpoints of {arguments.megabytes}"
        f" MiB saved, resume failed {failed} times, went back {restarted} times"
    )


if __name__ == "__main__":
    main()
