"""Pre-train MixMAE on handwritten digits, fine-tune it with few labels, compare with scratch."""

import fcntl
import hashlib
import os
import signal
import sys
from pathlib import Path

from accuracy_table import read_accuracy, result_table
from digits import TEST_DIGITS, label_file, write_digits
from progress import StepFailedError, Training, run_trainings
from stages import Stages

from mim_plugins.cli.cores import usable_cores

ROOT = Path(__file__).resolve().parents[3]
WORK_DIR = Path("work_dirs/quickstart")
CONFIGS = Path("configs/quickstart")
SOURCES = (str(CONFIGS), "configs/_base_", "mim_plugins", "tools/dev/quickstart", "tools/train.py")
LABELS_PER_CLASS = 3
SEEDS = (0, 1, 2)
STARTS = ("pre-trained", "scratch")
MOST_THREADS = 4  # of such small steps; more hardly help
TABLE, PICTURE = "table.txt", "reconstructions.png"


def main() -> None:
    os.chdir(ROOT)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    WORK_DIR.mkdir(parents=True, exist_ok=True)
    with (WORK_DIR / "lock").open("w") as lock:
        # inheritable, because a training may outlive this process and then still owns the folder
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            run_steps()
        except BlockingIOError:
            sys.exit(
                f"error: another quick start, or its training, runs in '{WORK_DIR}': wait or end it"
            )
        except StepFailedError as error:
            sys.exit(str(error))
        except KeyboardInterrupt:
            sys.exit("interrupted: the same command continues after the last complete step")


def run_steps() -> None:
    """Run all steps that are not complete yet, and print the results."""
    finetunings = {f"{start}_seed{seed}": (start, seed) for seed in SEEDS for start in STARTS}
    groups = [["digits"], ["pretrain"], list(finetunings), ["result"]]
    stages = Stages(WORK_DIR, groups, fingerprint())
    stages.run(
        "digits",
        "writing 1,797 handwritten digits as images",
        lambda folder: write_digits(folder, LABELS_PER_CLASS, SEEDS),
    )
    threads = min(usable_cores(), MOST_THREADS)
    title = "pre-training MixMAE on all of them, without labels"
    if stages.begin("pretrain", title):
        run_all(stages, [training(stages, "pretrain", "mixmae_digits.py", threads=threads)])
    run_all(
        stages,
        [
            finetuning(stages, name, start, seed)
            for name, (start, seed) in finetunings.items()
            if stages.begin(
                name, f"fine-tuning with {LABELS_PER_CLASS} labels per class: {start}, seed {seed}"
            )
        ],
    )
    accuracies: dict[str, list[float]] = {start: [] for start in STARTS}
    for name, (start, _) in finetunings.items():
        accuracies[start].append(read_accuracy(WORK_DIR / name))
    result = stages.run(
        "result",
        "drawing what the pre-trained model reconstructs",
        lambda folder: write_result(folder, accuracies),
    )
    print(f"\n{(result / TABLE).read_text()}\npicture: {ROOT / result / PICTURE}")


def run_all(stages: Stages, trainings: list[Training]) -> None:
    """Run trainings, as many at a time as there are cores, and mark each as complete."""
    for done, seconds in run_trainings(trainings, usable_cores()):
        stages.finish(done.name, seconds)


def finetuning(stages: Stages, name: str, start: str, seed: int) -> Training:
    """Return a fine-tuning from pre-trained or random weights, with the same settings."""
    options = [
        f"randomness.seed={seed}",
        f"train_dataloader.dataset.dataset.ann_file={label_file(seed)}",
    ]
    if start == "scratch":
        options.append("model.backbone.init_cfg=None")
    return training(stages, name, "finetune_digits.py", "--cfg-options", *options)


def training(stages: Stages, name: str, config: str, *arguments: str, threads: int = 1) -> Training:
    """Return a run of tools/train.py with its output in the folder of the step."""
    folder = stages.root / name
    tool = [sys.executable, "tools/train.py", str(CONFIGS / config)]
    command = [*tool, "--work-dir", str(folder), *arguments]
    return Training(name, command, folder / "console.log", threads)


def write_result(folder: Path, accuracies: dict[str, list[float]]) -> None:
    """Write the table and the reconstructions."""
    from picture import draw_picture  # the import takes seconds

    title = (
        f"top-1 accuracy in % on {TEST_DIGITS:,} test digits after fine-tuning with"
        f" {LABELS_PER_CLASS} labels per class"
    )
    (folder / TABLE).write_text(f"{title}\n{result_table(accuracies)}\n")
    draw_picture(CONFIGS / "mixmae_digits.py", folder / PICTURE)


def fingerprint() -> str:
    """Return a hash of the code and configs that determine the results."""
    digest = hashlib.sha256()
    for source in map(Path, SOURCES):
        for file in [source] if source.is_file() else sorted(source.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
