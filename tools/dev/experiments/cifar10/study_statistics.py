"""Statistics of the longer comparison, from its result files."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import sem, t
from score import unpack
from study_plan import DECIDING_SHARE, SEEDS, SHARES, Job, Start

_RESAMPLES = 2_000
Values = dict[str, dict[str, Any]]
Seeds = tuple[int, ...]


def read(folder: Path) -> Values:
    """Return the values of all finished jobs by name."""
    contents = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    return {content["job"]: content["values"] for content in contents}


def lengths(values: Values, name: str) -> list[int]:
    """Return the lengths in epochs at which a start was pre-trained."""
    found = (_length(job, name) for job in values)
    return sorted({epochs for epochs in found if epochs is not None})


def _length(job: str, name: str) -> int | None:
    for seed in SEEDS:
        suffix = f"_seed{seed}"
        if job == f"pretrain_{name}{suffix}":
            return 0
        prefix = f"pretrain_{name}_"
        middle = job.removeprefix(prefix).removesuffix(suffix)
        if job.startswith(prefix) and job.endswith(suffix) and middle.endswith("e"):
            return int(middle[:-1]) if middle[:-1].isdigit() else None
    return None


def compared_lengths(
    values: Values, first: str, second: str, epochs: int, longer: int
) -> list[tuple[int, int]]:
    """Return the lengths in epochs at which two starts are compared.

    They are equal, or the first is ``epochs`` long and the second takes the same time, unless it is
    ``longer``, a length of both. All lengths are compared with random weights.
    """
    own = lengths(values, first)
    pairs = []
    for other in lengths(values, second):
        if other == 0:
            pairs += [(length, other) for length in own]
        elif other in own:
            pairs.append((other, other))
        elif other != longer:
            pairs.append((epochs, other))
    return pairs


def accuracies(
    values: Values, name: str, epochs: int, variant: str = "", seeds: Seeds = SEEDS
) -> dict[str, list[float]]:
    """Return the test accuracies of each evaluation over the ``seeds`` that are finished."""
    found: dict[str, list[float]] = {}
    for seed in seeds:
        start = Start(name, seed, epochs, variant)
        curve = values.get(Job("pretrain", start).label, {}).get("curve", {})
        last = curve.get(str(epochs), {})
        for kind in ("knn", "probe"):
            if kind in last:
                found.setdefault(kind, []).append(last[kind])
        for share in SHARES:
            tuned = values.get(Job("finetune", start, share).label)
            if tuned:
                found.setdefault(f"finetune_{share}", []).append(tuned["accuracy"])
        fixed = values.get(Job("cosine", start, DECIDING_SHARE).label)
        if fixed:
            found.setdefault("cosine", []).append(fixed["accuracy"])
        moved = values.get(Job("transfer", start).label)
        for kind, value in (moved or {}).items():
            found.setdefault(kind, []).append(value)
    return found


class Difference(NamedTuple):
    """Difference of two starts in points of test accuracy."""

    gains: list[float]
    """By seed."""
    bootstrap: tuple[float, float]
    student: tuple[float, float] | None
    """None for a single seed."""


def difference(
    values: Values,
    first: tuple[str, int],
    second: tuple[str, int],
    share: int,
    kind: str = "finetune",
) -> Difference | None:
    """Compare two starts on the seeds that are finished for both; None if there is none.

    Both starts have the same seeds, labeled images and test images. The first 95 % interval is a
    paired bootstrap over seeds and test images, the second one Student's t over the seeds. The
    ``kind`` is that of the jobs.
    """
    pairs = []
    for seed in SEEDS:
        results = [
            values.get(Job(kind, Start(name, seed, epochs), share).label)
            for name, epochs in (first, second)
        ]
        if results[0] is not None and results[1] is not None:
            hits = [unpack(each["hits"], each["images"]).astype(float) for each in results if each]
            pairs.append(100 * (hits[0] - hits[1]))
    if not pairs:
        return None
    gains = np.stack(pairs)  # (seeds, images)
    generator = np.random.default_rng(0)
    samples = []
    for _ in range(_RESAMPLES):
        seeds = generator.integers(len(gains), size=len(gains))
        images = generator.integers(gains.shape[1], size=gains.shape[1])
        samples.append(gains[np.ix_(seeds, images)].mean())
    low, high = np.percentile(samples, [2.5, 97.5])
    by_seed = gains.mean(axis=1)
    return Difference(by_seed.tolist(), (float(low), float(high)), _student(by_seed))


def _student(gains: np.ndarray) -> tuple[float, float] | None:
    if len(gains) < 2:
        return None
    half = t.ppf(0.975, len(gains) - 1) * sem(gains)
    return float(gains.mean() - half), float(gains.mean() + half)


def gains(
    values: Values, first: str, second: str, epochs: int, kind: str
) -> dict[int, list[float]]:
    """Return the gain in points of a frozen encoder by epoch, for the seeds that both starts have.

    Args:
        values: see :func:`read`.
        first: name of a pre-training.
        second: name of another of the same length, or of random weights.
        epochs: length of the pre-training.
        kind: ``knn`` or ``probe``.
    """
    is_random = second.startswith("random")
    found: dict[int, list[float]] = {}
    for seed in SEEDS:
        starts = Start(first, seed, epochs), Start(second, seed, 0 if is_random else epochs)
        jobs = [values.get(Job("pretrain", start).label) for start in starts]
        if jobs[0] is not None and jobs[1] is not None:
            own, other = (job["curve"] for job in jobs if job)
            for step in sorted(own, key=int):
                gain = own[step][kind] - other["0" if is_random else step][kind]
                found.setdefault(int(step), []).append(gain)
    return found
