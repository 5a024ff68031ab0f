"""Train under a schedule of injected faults and compare the weights with an undisturbed run.

Two gloo processes train a tiny MixMAE on random images with tools/train.py, under the agent of
tools/dist_train.sh. The processes are forked, so a restart repeats no imports. After exit code 85
and after a non-finite loss, which are not restarted automatically, the drill starts the run again
with --resume, as a scheduler or a user would. A table lists for each fault the repeated iterations
and the seconds to the next iteration. The exit code is 1 if a weight differs.
"""

import argparse
import errno
import itertools
import os
import random
import runpy
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher import api

from mim_plugins.engine.model_wrapper import unwrap_model
from mim_plugins.engine.resume.atomic_local_backend import AtomicLocalBackend
from mim_plugins.registry import HOOKS

TOOLS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOOLS / "misc"))
from restarting_agent import RestartingAgent  # noqa: E402  in the folder inserted above

FIRST, SPACING = 5, 6  # iterations
_EPOCH = 4  # iterations
_ATTEMPTS = 1000
_LAUNCHES = itertools.count()
CONFIG = """
_base_ = {base!r}
model = dict(
    backbone=dict(arch=dict(_delete_=True, embed_dims=8, depths=(1, 1, 1, 1),
                            num_heads=(1, 1, 2, 2)), img_size=64, window_size=4),
    decoder=dict(embed_dims=16, depth=1, num_heads=2))
train_pipeline = _base_.train_pipeline
train_pipeline[0]['scale'] = 64
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False, pin_memory=False,
                        dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_epochs={epochs})
default_hooks = dict(
    logger=dict(interval=100), preemption=dict(interval=1), stall_watchdog=dict(timeout=8),
    checkpoint=dict(by_epoch=False, interval=2, max_keep_ckpts=3))
custom_hooks = [dict(type='FaultHook', kinds={kinds!r})]
"""


class Outcome(NamedTuple):
    """Effect of one fault."""

    kind: str
    lost: int
    seconds: float


@HOOKS.register_module()
class FaultHook(Hook):
    """Inject each fault once, alternately in the two processes, and record all iterations.

    Args:
        kinds: names of :data:`FAULTS`, in the order of injection.
    """

    priority = "HIGHEST"

    def __init__(self, kinds: list[str]) -> None:
        self.kinds = kinds
        self.spoils_loss = self.signals_at_save = False

    def before_train(self, runner: Runner) -> None:
        """Register the hook that spoils the loss before the guard checks it."""
        unwrap_model(runner.model).register_forward_hook(self._spoil)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | tuple | list | None = None
    ) -> None:
        """Inject the fault of this iteration."""
        index, rest = divmod(runner.iter - FIRST, SPACING)
        if rest or not 0 <= index < len(self.kinds):
            return
        kind = self.kinds[index]
        on_main = kind in _ON_MAIN or (kind not in _ON_OTHER and index % 2 == 0)
        mark = Path(runner.work_dir, f"fault_{index}")
        if on_main == (runner.rank == 0) and not mark.exists():
            mark.write_text(str(time.time()))
            FAULTS[kind](self, runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Send the signal of the fault ``sigterm``."""
        if self.signals_at_save:
            self.signals_at_save = False
            os.kill(os.getpid(), signal.SIGTERM)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Record the completed iteration."""
        if runner.rank == 0:
            with Path(runner.work_dir, "iterations.txt").open("a") as file:
                file.write(f"{runner.iter + 1} {time.time()}\n")

    def _spoil(self, model: Any, inputs: Any, losses: Any) -> Any:
        if not self.spoils_loss:
            return losses
        self.spoils_loss = False
        return {name: value * float("nan") for name, value in losses.items()}


def _signal(number: int) -> Callable[[FaultHook, Runner], None]:
    return lambda hook, runner: os.kill(os.getpid(), number)


def _corrupt_newest(hook: FaultHook, runner: Runner) -> None:
    newest = Path(Path(runner.work_dir, "last_checkpoint").read_text())
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    os.kill(os.getpid(), signal.SIGKILL)


def _fill_disk(hook: FaultHook, runner: Runner) -> None:
    original = AtomicLocalBackend.put

    def put(self: Any, *arguments: Any) -> None:
        setattr(AtomicLocalBackend, "put", original)  # noqa: B010  mypy: a method
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    setattr(AtomicLocalBackend, "put", put)  # noqa: B010


FAULTS: dict[str, Callable[[FaultHook, Runner], None]] = dict(
    kill=_signal(signal.SIGKILL),
    hang=lambda hook, runner: time.sleep(600),
    freeze=_signal(signal.SIGSTOP),
    corrupt=_corrupt_newest,
    disk=_fill_disk,
    sigterm=lambda hook, runner: setattr(hook, "signals_at_save", True),
    nan=lambda hook, runner: setattr(hook, "spoils_loss", True),
)
_ON_MAIN = ("disk", "sigterm")  # only the main process saves
_ON_OTHER = ("nan",)


def work(arguments: list[str]) -> None:
    """Run tools/train.py in a forked process."""
    torch.set_num_threads(1)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    sys.argv = ["train.py", *arguments]
    runpy.run_path(str(TOOLS / "train.py"), run_name="__main__")


def launch(arguments: list[str], logs: Path) -> bool:
    """Train in two processes that restart by themselves; return whether the run is complete."""
    number = next(_LAUNCHES)
    config = api.LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        run_id=f"drill_{os.getpid()}_{number}",
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        max_restarts=_ATTEMPTS,
        monitor_interval=0.1,
        start_method="fork",
        local_addr="127.0.0.1",
        logs_specs=DefaultLogsSpecs(log_dir=str(logs), redirects=Std.ALL),
    )
    setattr(api, "LocalElasticAgent", RestartingAgent)  # noqa: B010  as tools/misc/launch.py
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    handlers = {number: signal.getsignal(number) for number in numbers}
    try:
        api.elastic_launch(config, work)(arguments)
    except ChildFailedError:
        return False
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
    return True


def train(folder: Path, name: str, kinds: list[str]) -> dict[str, torch.Tensor]:
    """Train under the faults until the run is complete, and return the final weights."""
    length = FIRST + SPACING * len(kinds)
    schedule = kinds if name == "disturbed" else []
    config = folder / f"{name}.py"
    base = str(TOOLS.parent / "configs/mixmae/swin_b_600e.py")
    config.write_text(CONFIG.format(base=base, epochs=-(-length // _EPOCH), kinds=schedule))
    arguments = [str(config), "--launcher", "pytorch", "--data-root", str(folder / "images")]
    arguments += ["--work-dir", str(folder / name), "--resume"]
    for _ in range(len(schedule) + 1):
        if launch(arguments, folder / f"logs_{name}"):
            newest = (folder / name / "last_checkpoint").read_text()
            return torch.load(newest, weights_only=True)["state_dict"]
    raise RuntimeError(f"the run in '{folder / name}' does not end; see its logs")


def outcomes(work_dir: Path, kinds: list[str]) -> list[Outcome]:
    """Return the effect of each fault, from the record of iterations.

    The seconds are the longest time without a completed iteration between two faults.
    """
    lines = (work_dir / "iterations.txt").read_text().split()
    done = [(int(step), float(when)) for step, when in zip(lines[::2], lines[1::2], strict=True)]
    faults = [float((work_dir / f"fault_{index}").read_text()) for index in range(len(kinds))]
    found = []
    for kind, start, end in zip(kinds, faults, [*faults[1:], float("inf")], strict=True):
        window = [done[sum(when <= start for _, when in done) - 1]]
        window += [(step, when) for step, when in done if start < when <= end]
        pairs = list(itertools.pairwise(window))
        lost = sum(max(0, last - step + 1) for (last, _), (step, _) in pairs)
        found.append(Outcome(kind, lost, max(when - last for (_, last), (_, when) in pairs)))
    return found


def drill(folder: Path, kinds: list[str]) -> tuple[list[Outcome], list[str]]:
    """Run the drill; return the effect of each fault and the names of weights that differ."""
    generator = np.random.default_rng(0)
    images = folder / "images"
    images.mkdir(parents=True)
    for index in range(4 * _EPOCH):
        pixels = generator.integers(0, 256, (70, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(images / f"{index}.jpg")
    expected = train(folder, "undisturbed", kinds)
    weights = train(folder, "disturbed", kinds)
    different = [name for name in expected if not torch.equal(expected[name], weights[name])]
    return outcomes(folder / "disturbed", kinds), different


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--random", type=int, help="number of random faults instead")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    kinds = args.faults
    if args.random:
        kinds = random.Random(args.seed).choices(list(FAULTS), k=args.random)
    with tempfile.TemporaryDirectory() as folder:
        found, different = drill(Path(folder), kinds)
    print("| fault | recovered | iterations lost | seconds |\n| --- | --- | --- | --- |")
    for outcome in found:
        print(f"| {outcome.kind} | yes | {outcome.lost} | {outcome.seconds:.1f} |")
    if different:
        sys.exit(f"error: {len(different)} weights differ, the first is {different[0]}")
    print("all weights equal those of the undisturbed run")


if __name__ == "__main__":
    main()
