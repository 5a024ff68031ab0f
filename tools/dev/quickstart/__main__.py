"""Pre-train MixMAE on handwritten digits, fine-tune it with few labels, compare with scratch."""

import fcntl
import hashlib
import os
import signal
import sys
from functools import partial
from pathlib import Path

from accuracy_table import read_accuracy, result_table
from digits import TEST_DIGITS, label_file, write_digits
from progress import StepFailedError, run_training
from stages import Stages

ROOT = Path(__file__).resolve().parents[3]
WORK_DIR = Path("work_dirs/quickstart")
CONFIGS = Path("configs/quickstart")
SOURCES = (str(CONFIGS), "configs/_base_", "mim_plugins", "tools/dev/quickstart", "tools/train.py")
LABELS_PER_CLASS = 3
SEEDS = (0, 1, 2)
STARTS = ("pre-trained", "scratch")
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
    stages = Stages(WORK_DIR, ["digits", "pretrain", *finetunings, "result"], fingerprint())
    stages.run(
        "digits",
        "writing 1,797 handwritten digits as images",
        lambda folder: write_digits(folder, LABELS_PER_CLASS, SEEDS),
    )
    stages.run(
        "pretrain",
        "pre-training MixMAE on all of them, without labels",
        lambda folder: train("mixmae_digits.py", folder),
    )
    accuracies: dict[str, list[float]] = {start: [] for start in STARTS}
    for name, (start, seed) in finetunings.items():
        folder = stages.run(
            name,
            f"fine-tuning with {LABELS_PER_CLASS} labels per class: {start}, seed {seed}",
            partial(finetune, start=start, seed=seed),
        )
        accuracies[start].append(read_accuracy(folder))
    result = stages.run(
        "result",
        "drawing what the pre-trained model reconstructs",
        lambda folder: write_result(folder, accuracies),
    )
    print(f"\n{(result / TABLE).read_text()}\npicture: {ROOT / result / PICTURE}")


def finetune(folder: Path, start: str, seed: int) -> None:
    """Fine-tune from pre-trained or random weights, with the same settings."""
    options = [
        f"randomness.seed={seed}",
        f"train_dataloader.dataset.dataset.ann_file={label_file(seed)}",
    ]
    if start == "scratch":
        options.append("model.backbone.init_cfg=None")
    train("finetune_digits.py", folder, "--cfg-options", *options)


def train(config: str, folder: Path, *arguments: str) -> None:
    """Run tools/train.py with its output in ``folder``."""
    tool = [sys.executable, "tools/train.py", str(CONFIGS / config)]
    run_training([*tool, "--work-dir", str(folder), *arguments], folder / "console.log")


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
