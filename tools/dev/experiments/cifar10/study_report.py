"""Make all tables and the picture of the longer comparison from its result files."""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from report import heading, markdown, spread
from score import unpack
from study import RESULTS
from study_plan import (
    ABLATIONS,
    FAMILIES,
    LENGTHS,
    MASK_TOKENS,
    RIVALS,
    SEEDS,
    SHARES,
    TOKENS,
    VISIBLE,
    Job,
    Start,
)

_RESAMPLES = 2_000
_OTHER_IMAGES = dict(digits="digits, k-NN", imagenet="ImageNet groups, k-NN")
Values = dict[str, dict[str, Any]]


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


def accuracies(values: Values, name: str, epochs: int, variant: str = "") -> dict[str, list[float]]:
    """Return the test accuracies of each evaluation over the seeds that are finished."""
    found: dict[str, list[float]] = {}
    for seed in SEEDS:
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
        moved = values.get(Job("transfer", start).label)
        for kind, value in (moved or {}).items():
            found.setdefault(kind, []).append(value)
    return found


def table(values: Values, starts: Iterable[tuple[str, int, str]]) -> str:
    """Format one row for each start: name, epochs, variant."""
    kinds = ["knn", "probe", *(f"finetune_{share}" for share in SHARES), *_OTHER_IMAGES]
    titles = [_OTHER_IMAGES.get(kind) or heading(kind) for kind in kinds]
    rows = [["start", "epochs", *titles]]
    for name, epochs, variant in starts:
        found = accuracies(values, name, epochs, variant)
        cells = [spread(found[kind]) if kind in found else "" for kind in kinds]
        rows.append([" ".join(filter(None, (name, variant))), str(epochs), *cells])
    return markdown(rows)


def difference(
    values: Values, first: tuple[str, int], second: tuple[str, int], share: int
) -> tuple[float, float, float] | None:
    """Return the mean difference in points of two starts, and its 95 % interval.

    The interval is a paired bootstrap over seeds and test images: both starts have the same seeds,
    labeled images and test images. None means that a seed is missing.
    """
    pairs = []
    for seed in SEEDS:
        results = [
            values.get(Job("finetune", Start(name, seed, epochs), share).label)
            for name, epochs in (first, second)
        ]
        if results[0] is None or results[1] is None:
            return None
        hits = [unpack(each["hits"], each["images"]).astype(float) for each in results if each]
        pairs.append(100 * (hits[0] - hits[1]))
    gains = np.stack(pairs)  # (seeds, images)
    generator = np.random.default_rng(0)
    samples = []
    for _ in range(_RESAMPLES):
        seeds = generator.integers(len(gains), size=len(gains))
        images = generator.integers(gains.shape[1], size=gains.shape[1])
        samples.append(gains[np.ix_(seeds, images)].mean())
    low, high = np.percentile(samples, [2.5, 97.5])
    return float(gains.mean()), float(low), float(high)


def differences(values: Values) -> str:
    """Format the comparisons that decide, at equal epochs and at equal time."""
    rows = [["comparison", "epochs", "labels", "difference, points", "95 % interval"]]
    for first, second in RIVALS:
        base = max(lengths(values, first), default=0)
        for other in lengths(values, second):
            for share in SHARES:
                found = difference(values, (first, base), (second, other), share)
                if found:
                    row = [f"{first} - {second}", f"{base}, {other}", f"{share} %"]
                    row += [f"{found[0]:+.1f}", f"{found[1]:+.1f} to {found[2]:+.1f}"]
                    rows.append(row)
    return markdown(rows)


def gaps(values: Values) -> str:
    """Format the gain in k-NN of each rival's first method along the pre-training."""
    rows = [["comparison", "seeds", "gain in k-NN, points, by epoch"]]
    for first, second in RIVALS:
        for epochs in sorted({*lengths(values, first)} & {*lengths(values, second)}):
            curves = [
                [values[job]["curve"] for job in jobs]
                for jobs in (
                    [Job("pretrain", Start(name, seed, epochs)).label for name in (first, second)]
                    for seed in SEEDS
                )
                if all(job in values for job in jobs)
            ]
            gains = {
                step: mean(pair[0][step]["knn"] - pair[1][step]["knn"] for pair in curves)
                for step in (sorted(curves[0][0], key=int) if curves else ())
            }
            texts = [f"{step}: {gain:+.1f}" for step, gain in gains.items()]
            rows.append([f"{first} - {second}", str(len(curves)), ", ".join(texts)])
    return markdown(rows)


def costs(values: Values) -> str:
    """Format FLOPs and seconds of the methods, per image and per token of an image."""
    flops, seconds = values.get("cost", {}), values.get("calibrate", {})
    titles = "MFLOP per image", "of the encoder", "on mask tokens", "seconds per epoch"
    rows = [["method", *titles, "encoder MFLOP per visible token"]]
    for method, counted in flops.items():
        encoder, masked = counted["encoder"], MASK_TOKENS.get(method, 0.0)
        numbers = (counted["total"], encoder, masked * encoder, seconds[method])
        per_token = encoder / (TOKENS * VISIBLE[method])
        rows.append([method, *(f"{number:.0f}" for number in numbers), f"{per_token:.2f}"])
    return markdown(rows)


def detection(values: Values) -> str:
    """Format the box AP of the detectors by iteration."""
    rows: list[list[str]] = []
    for name in FAMILIES["swin"]:
        labels = [label for label in values if label.startswith(f"detect_{name}_")]
        if labels:
            steps = values[labels[0]]["iterations"]
            rows = rows or [["start", "seeds", *map(str, steps)]]
            each = zip(*(values[label]["box"] for label in labels), strict=True)
            rows.append([name, str(len(labels)), *(f"{mean(ap):.3f}" for ap in each)])
    return markdown(rows) if rows else ""


def draw(values: Values, file: Path) -> None:
    """Plot the accuracy of frozen encoders over seconds of pre-training."""
    seconds = values.get("calibrate", {})
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, (family, names) in zip(figure.subplots(1, 2), FAMILIES.items(), strict=True):
        for name in names:
            for epochs in lengths(values, name):
                _draw_curve(axes, values, name, epochs, seconds)
        axes.set(title=family, xlabel="minutes of pre-training", ylabel="k-NN top-1, %")
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    figure.savefig(file, dpi=90)


def _draw_curve(axes: Any, values: Values, name: str, epochs: int, seconds: dict) -> None:
    jobs = (Job("pretrain", Start(name, seed, epochs)).label for seed in SEEDS)
    curves = [values[job]["curve"] for job in jobs if job in values]
    method = "mrmae" if name.startswith("mrmae") else name
    if not epochs:
        level = mean(curve["0"]["knn"] for curve in curves)
        axes.axhline(level, color="gray", linestyle=":", label=name)
    elif method in seconds:
        steps = sorted(map(int, curves[0]))
        minutes = [step * seconds[method] / 60 for step in steps]
        heights = [mean(curve[str(step)]["knn"] for curve in curves) for step in steps]
        axes.plot(minutes, heights, marker=".", label=f"{name}, {epochs} epochs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    parser.add_argument("--picture", type=Path, help="file to draw")
    parser.add_argument("--length", choices=LENGTHS, default="long")
    args = parser.parse_args()
    values = read(args.results)
    epochs = LENGTHS[args.length].epochs
    for names in FAMILIES.values():
        starts = [(name, length, "") for name in names for length in lengths(values, name)]
        print(table(values, starts))
    print(differences(values))
    print(gaps(values))
    print(costs(values))
    print(detection(values))
    changed = [(name, epochs, variant) for variant, (name, _) in ABLATIONS.items()]
    print(table(values, [*((name, epochs, "") for name in ("mixmae", "mrmae_self")), *changed]))
    if args.picture:
        draw(values, args.picture)


if __name__ == "__main__":
    main()
