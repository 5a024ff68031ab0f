"""Train under a schedule of injected faults and compare the weights with an undisturbed run.

Two gloo processes, each with an agent of torchrun as on a separate machine, train a tiny MixMAE on
random images with tools/train.py. All processes are forked, so a restart repeats no imports. When
the agents end because a fault is not restarted automatically (exit code 85, a non-finite loss, a
killed meeting point), the drill starts them again with --resume, as a scheduler or a user would. A
table lists for each fault the repeated iterations and the seconds to the next iteration. The exit
code is 1 if a weight differs.
"""

import argparse
import itertools
import random
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from drilling.agents import TOOLS
from drilling.agents import train as train_until_complete
from drilling.faults import FAULTS, FIRST, SPACING
from PIL import Image

_EPOCH = 4  # iterations
CONFIG = """
_base_ = {base!r}
train_dataloader = dict(num_workers=1, persistent_workers=True)
train_cfg = dict(max_epochs={epochs})
default_hooks = dict(
    logger=dict(interval=100), preemption=dict(interval=1), stall_watchdog=dict(timeout=8),
    checkpoint=dict(by_epoch=False, interval=2, max_keep_ckpts=3))
custom_hooks = [dict(type='FaultHook', kinds={kinds!r}, record={record!r})]
"""


class Outcome(NamedTuple):
    """Effect of one fault."""

    kind: str
    lost: int
    seconds: float


def train(folder: Path, name: str, kinds: list[str]) -> dict[str, torch.Tensor]:
    """Train under the faults until the run is complete, and return the final weights."""
    length = FIRST + SPACING * len(kinds)
    schedule = kinds if name == "disturbed" else []
    record = folder / f"record_{name}"
    record.mkdir()
    config = folder / f"{name}.py"
    config.write_text(
        CONFIG.format(
            base=str(TOOLS / "dev/configs/tiny_mixmae.py"),
            epochs=-(-length // _EPOCH),
            kinds=schedule,
            record=str(record),
        )
    )
    arguments = [str(config), "--launcher", "pytorch", "--data-root", str(folder / "images")]
    arguments += ["--work-dir", str(folder / name), "--resume"]
    train_until_complete(arguments, folder / f"logs_{name}", record, 5 + 4 * len(schedule))
    newest = (folder / name / "last_checkpoint").read_text()
    return torch.load(newest, weights_only=False)["state_dict"]


def outcomes(record: Path, kinds: list[str]) -> list[Outcome]:
    """Return the effect of each fault, from the record of iterations.

    The seconds are the longest time without a completed iteration between two faults.
    """
    lines = (record / "iterations").read_text().split()
    done = [(int(step), float(when)) for step, when in zip(lines[::2], lines[1::2], strict=True)]
    faults = [float((record / f"fault_{index}").read_text()) for index in range(len(kinds))]
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
    return outcomes(folder / "record_disturbed", kinds), different


def table(found: list[Outcome]) -> str:
    """Format one row for each kind of fault, with medians and maxima over its occurrences."""
    rows = ["| fault | times | iterations lost, at most | seconds, median | at most |"]
    rows.append("| --- | --- | --- | --- | --- |")
    for kind in dict.fromkeys(outcome.kind for outcome in found):
        same = [outcome for outcome in found if outcome.kind == kind]
        seconds = [outcome.seconds for outcome in same]
        rows.append(
            f"| `{kind}` | {len(same)} | {max(each.lost for each in same)}"
            f" | {median(seconds):.1f} | {max(seconds):.1f} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--random", type=int, help="number of random faults instead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for runs and logs (default: temporary)")
    args = parser.parse_args()
    kinds = args.faults
    if args.random:
        kinds = random.Random(args.seed).choices(list(FAULTS), k=args.random)
    with tempfile.TemporaryDirectory() as folder:
        found, different = drill(args.keep or Path(folder), kinds)
    print(table(found))
    seconds = median(outcome.seconds for outcome in found)
    print(f"{len(found)} faults, 0 runs lost, {seconds:.1f} s to the next iteration (median)")
    if different:
        sys.exit(f"error: {len(different)} weights differ, the first is {different[0]}")
    print("all weights equal those of the undisturbed run")


if __name__ == "__main__":
    main()
