"""Make all tables and the picture of the longer comparison from its result files."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.figure import Figure
from report import heading, markdown, spread
from study import RESULTS
from study_plan import (
    ABLATIONS,
    FAMILIES,
    LENGTHS,
    MASK_TOKENS,
    PAIRS,
    RIVALS,
    SEEDS,
    SHARES,
    TOKENS,
    TWO_SEEDS,
    VISIBLE,
    Job,
    Start,
)
from study_statistics import Seeds, Values, accuracies, difference, gains, lengths, read

_OTHER_IMAGES = dict(digits="digits, k-NN", imagenet="ImageNet groups, k-NN")


def table(values: Values, starts: Iterable[tuple[str, int, str]], seeds: Seeds = SEEDS) -> str:
    """Format one row for each start: name, epochs, variant."""
    kinds = ["knn", "probe", *(f"finetune_{share}" for share in SHARES), *_OTHER_IMAGES]
    titles = [_OTHER_IMAGES.get(kind) or heading(kind) for kind in kinds]
    rows = [["start", "epochs", *titles]]
    for name, epochs, variant in starts:
        found = accuracies(values, name, epochs, variant, seeds)
        cells = [_cell(found.get(kind, [])) for kind in kinds]
        rows.append([" ".join(filter(None, (name, variant))), str(epochs), *cells])
    return markdown(rows)


def _cell(accuracies: list[float]) -> str:
    return f"{spread(accuracies)} ({len(accuracies)})" if accuracies else ""


def differences(values: Values, epochs: int) -> str:
    """Format the differences of all pairs, at equal epochs and at equal time."""
    titles = ["difference, points", "by seed", "95 %, bootstrap", "95 %, Student"]
    rows = [["comparison", "epochs", "labels", *titles]]
    for first, second in PAIRS:
        base = 0 if first.startswith("random") else epochs
        for other in lengths(values, second):
            for share in SHARES:
                found = difference(values, (first, base), (second, other), share)
                if found:
                    intervals = [_interval(found.bootstrap), _interval(found.student)]
                    by_seed = ", ".join(f"{gain:+.1f}" for gain in found.gains)
                    row = [f"{first} - {second}", f"{base}, {other}", f"{share} %"]
                    rows.append([*row, f"{mean(found.gains):+.1f}", by_seed, *intervals])
    return markdown(rows)


def _interval(limits: tuple[float, float] | None) -> str:
    return f"{limits[0]:+.1f} to {limits[1]:+.1f}" if limits else ""


def gaps(values: Values) -> str:
    """Format the gains of frozen encoders along the pre-training."""
    rows = [["comparison", "evaluation", "seeds", "gain in points by epoch"]]
    for first, second in (*RIVALS, ("simmim", "random_swin")):
        for epochs in lengths(values, first):
            for kind in ("knn", "probe"):
                found = gains(values, first, second, epochs, kind)
                texts = [f"{step}: {mean(by_seed):+.1f}" for step, by_seed in found.items()]
                if found:
                    count = str(len(found[epochs]))
                    row = [f"{first} - {second}", heading(kind), count, ", ".join(texts)]
                    rows.append(row)
    return markdown(rows)


def teachers(values: Values) -> str:
    """Format the accuracies of the teachers' features, and the seconds of their students."""
    rows = [["teacher of", "k-NN", "linear probe", "seconds per epoch"]]
    for name, found in values.get("teacher_quality", {}).items():
        numbers = [f"{found['knn']:.1f}", f"{found['probe']:.1f}", f"{found['seconds']:.0f}"]
        rows.append([name, *numbers])
    return markdown(rows)


def ends(values: Values, most: dict[int, int]) -> str:
    """Format how many fine-tunings were ended by the largest number of epochs."""
    rows = [["labels", "fine-tunings", "ended by the limit"]]
    for share, limit in most.items():
        tuned = (each for job, each in values.items() if f"_{share}percent" in job)
        found = {each["hits"]: each["last_epoch"] for each in tuned}  # the best rate has two files
        limited = sum(last >= limit for last in found.values())
        rows.append([f"{share} %", str(len(found)), str(limited)])
    return markdown(rows)


def costs(values: Values, images: int) -> str:
    """Format FLOPs and seconds of the methods; an epoch has ``images``."""
    flops, seconds = values.get("cost", {}), values.get("calibrate", {})
    titles = "MFLOP per image", "of the encoder", "on mask tokens", "seconds per epoch"
    per = "per visible token: MFLOP of the encoder", "microseconds"
    rows = [["method", *titles, *per]]
    for method, counted in flops.items():
        encoder, masked = counted["encoder"], MASK_TOKENS.get(method, 0.0)
        numbers = (counted["total"], encoder, masked * encoder, seconds[method])
        visible = TOKENS * VISIBLE[method]
        per_token = [f"{encoder / visible:.2f}", f"{1e6 * seconds[method] / images / visible:.1f}"]
        rows.append([method, *(f"{number:.0f}" for number in numbers), *per_token])
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
    seconds = dict(values.get("calibrate", {}))
    measured = values.get("teacher_quality", {})
    seconds |= {name: found["seconds"] for name, found in measured.items()}
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
    if not epochs:
        level = mean(curve["0"]["knn"] for curve in curves)
        axes.axhline(level, color="gray", linestyle=":", label=name)
    elif name in seconds:
        steps = sorted(map(int, curves[0]))
        minutes = [step * seconds[name] / 60 for step in steps]
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
    print(differences(values, epochs))
    print(gaps(values))
    print(teachers(values))
    print(ends(values, LENGTHS[args.length].most_epochs))
    print(costs(values, LENGTHS[args.length].images))
    print(detection(values))
    changed = [(name, epochs, variant) for variant, (name, _) in ABLATIONS.items()]
    base = [(name, epochs, "") for name in ("mixmae", "mae", "mrmae_self")]
    print(table(values, [*base, *changed], TWO_SEEDS))
    if args.picture:
        draw(values, args.picture)


if __name__ == "__main__":
    main()
