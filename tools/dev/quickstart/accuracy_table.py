"""Table of the accuracies in MMEngine's logs."""

import json
from pathlib import Path
from statistics import mean


def read_accuracy(work_dir: Path) -> float:
    """Return the last top-1 accuracy, in percent, logged by a training in ``work_dir``.

    Raises:
        ValueError: no accuracy was logged.
    """
    values = [
        entry["accuracy/top1"]
        for file in sorted(work_dir.glob("*/vis_data/scalars.json"))
        for entry in map(json.loads, file.read_text().splitlines())
        if "accuracy/top1" in entry
    ]
    if not values:
        raise ValueError(f"no accuracy was logged in '{work_dir}'")
    return values[-1]


def result_table(accuracies: dict[str, list[float]]) -> str:
    """Format one row per initialization with the accuracy of each seed, the mean and a verdict."""
    (name, values), (baseline, baseline_values) = accuracies.items()
    header = [f"seed {seed}" for seed in range(len(values))]
    lines = [" " * 14 + "".join(f"{text:>9}" for text in [*header, "mean"])]
    for start, numbers in accuracies.items():
        row = "".join(f"{number:9.1f}" for number in [*numbers, mean(numbers)])
        lines.append(f"{start:<14}{row}")
    gain = mean(values) - mean(baseline_values)
    verdict = (
        f"{name} beats {baseline} by {gain:.1f} points on the mean"
        if gain > 0
        else f"{name} does not beat {baseline}: {gain:+.1f} points on the mean"
    )
    return "\n".join([*lines, verdict])
