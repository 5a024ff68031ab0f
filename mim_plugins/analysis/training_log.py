"""Reading of MMEngine's logs, including those of resumed runs."""

import json
from collections.abc import Iterable
from pathlib import Path

Curves = dict[str, dict[int, float]]
"""Values by iteration for each logged key."""

THROUGHPUT = "iterations/s"
_COUNTERS = ("step", "iter", "epoch")


def read_run(path: str | Path) -> Curves:
    """Read the curves of a work folder, of the folder of one start, or of a JSON log.

    A resumed run has one folder per start. From its first iteration on, a later start replaces the
    earlier ones, whose further iterations were lost. Values of an evaluation are assigned to the
    iteration that precedes it. ``'iterations/s'`` is computed from ``time``.

    Raises:
        FileNotFoundError: the file or folder does not exist.
        ValueError: there is no log, or a file is not a log.
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
            earlier = {step: v for step, v in curves.get(key, {}).items() if step < begin}
            curves[key] = earlier | later.get(key, {})
    curves = {key: values for key, values in sorted(curves.items()) if values}
    if not curves:
        raise ValueError(f"'{path}' contains no log: neither vis_data/scalars.json nor a JSON log")
    return curves


def _read_lines(file: Path) -> list[dict]:
    entries = []
    lines = file.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break  # a killed run may leave a partial line
            raise ValueError(f"'{file}' line {number} is not JSON ({error})") from None
        if not isinstance(entry, dict):
            raise ValueError(
                f"'{file}' line {number} is not a log entry; give a run's scalars.json"
            )
        entries.append(entry)
    return entries


def _curves(entries: Iterable[dict]) -> Curves:
    curves: Curves = {}
    iteration = 0
    for entry in entries:
        # entries of evaluations lack "iter"
        iteration = entry.get("iter", iteration)
        for key, value in entry.items():
            if key not in _COUNTERS and isinstance(value, (int, float)):
                curves.setdefault(key, {})[iteration] = value
        if "iter" in entry and entry.get("time"):
            curves.setdefault(THROUGHPUT, {})[iteration] = 1 / entry["time"]
    return curves


def smooth(values: list[float], weight: float) -> list[float]:
    """Return the bias-corrected exponential moving average of ``values``.

    ``weight`` is that of the previous average, at least 0 (no smoothing) and below 1.
    """
    if not 0 <= weight < 1:
        raise ValueError(f"smooth={weight} must be at least 0 and below 1")
    averages, total, share = [], 0.0, 0.0
    for value in values:
        total = weight * total + (1 - weight) * value
        share = weight * share + (1 - weight)
        averages.append(total / share)
    return averages
