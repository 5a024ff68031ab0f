"""Reading what MMEngine logged of a run, interrupted and resumed or not."""

import json
from collections.abc import Iterable
from pathlib import Path

Curves = dict[str, dict[int, float]]
"""For each logged key, values by iteration."""

THROUGHPUT = "iterations/s"
_COUNTERS = ("step", "iter", "epoch")


def read_run(path: str | Path) -> Curves:
    """The curves of a work folder, of one start of it (a folder), or of a JSON log.

    A resumed run has a folder per start: from the iteration on at which a later one begins, it
    replaces the earlier ones, whose further iterations were lost. Values of an evaluation stand at
    the iteration after which it was done. ``'iterations/s'`` is derived from ``time``.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: it holds no log, or a file that is none.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no run '{path}'")
    files = [path] if path.is_file() else sorted(path.rglob("vis_data/scalars.json"))
    curves: Curves = {}
    for file in files:
        later = _curves(_read_lines(file))
        begin = min((step for values in later.values() for step in values), default=0)
        for key in curves.keys() | later.keys():
            kept = {step: v for step, v in curves.get(key, {}).items() if step < begin}
            curves[key] = kept | later.get(key, {})
    curves = {key: values for key, values in sorted(curves.items()) if values}
    if not curves:
        raise ValueError(f"'{path}' holds no log: neither vis_data/scalars.json nor a JSON log")
    return curves


def _read_lines(file: Path) -> list[dict]:
    entries = []
    lines = file.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break  # a killed run leaves half a line
            raise ValueError(f"'{file}' line {number} is no JSON ({error})") from None
        if not isinstance(entry, dict):
            raise ValueError(f"'{file}' line {number} is no log entry; give a run's scalars.json")
        entries.append(entry)
    return entries


def _curves(entries: Iterable[dict]) -> Curves:
    curves: Curves = {}
    iteration = 0
    for entry in entries:
        # training entries have "iter"; those of evaluations only count epochs, or nothing
        iteration = entry.get("iter", iteration)
        for key, value in entry.items():
            if key not in _COUNTERS and isinstance(value, (int, float)):
                curves.setdefault(key, {})[iteration] = value
        if "iter" in entry and entry.get("time"):
            curves.setdefault(THROUGHPUT, {})[iteration] = 1 / entry["time"]
    return curves


def smooth(values: list[float], weight: float) -> list[float]:
    """Exponential moving average with bias correction.

    ``weight`` of the past is at least 0 (nothing changes) and below 1.
    """
    if not 0 <= weight < 1:
        raise ValueError(f"smooth={weight} must be at least 0 and below 1")
    averages, total, share = [], 0.0, 0.0
    for value in values:
        total = weight * total + (1 - weight) * value
        share = weight * share + (1 - weight)
        averages.append(total / share)
    return averages
