"""Make all tables and the picture of the longer comparison from its result files."""

import argparse
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

from report import heading, markdown, spread
from study import RESULTS
from study_figure import draw
from study_plan import (
    ABLATIONS,
    DECIDING_SHARE,
    FAMILIES,
    LENGTHS,
    MASK_TOKENS,
    PAIRS,
    RIVALS,
    SEEDS,
    SHARES,
    TITLES,
    TOKENS,
    TWO_SEEDS,
    VISIBLE,
    Job,
    Start,
)
from study_statistics import (
    Difference,
    Seeds,
    Values,
    accuracies,
    compared_lengths,
    difference,
    gains,
    lengths,
    read,
)
from study_tables import curves, searches

_COSINE = f"{DECIDING_SHARE} % labels, cosine"
_OTHER_IMAGES = dict(digits="digits, k-NN", imagenet="ImageNet groups, k-NN")


def table(values: Values, starts: Iterable[tuple[str, int, str]], seeds: Seeds = SEEDS) -> str:
    """Format one row for each start: name, epochs, variant."""
    tuned = [*(f"finetune_{share}" for share in SHARES), "cosine"]
    kinds = ["knn", "probe", *tuned, *_OTHER_IMAGES]
    special = dict(_OTHER_IMAGES, cosine=_COSINE)
    titles = [special.get(kind) or heading(kind) for kind in kinds]
    rows = [["start", "epochs", *titles]]
    for name, epochs, variant in starts:
        found = accuracies(values, name, epochs, variant, seeds)
        cells = [_cell(found.get(kind, [])) for kind in kinds]
        label = ": ".join(filter(None, (TITLES[name], variant.replace("_", " "))))
        rows.append([label, str(epochs), *cells])
    return markdown(rows)


def _cell(accuracies: list[float]) -> str:
    return f"{spread(accuracies)} ({len(accuracies)})" if accuracies else ""


def differences(values: Values, epochs: int, longer: int) -> str:
    """Format the differences of all pairs, at equal epochs and at equal time."""
    titles = ["difference, points", "by seed", "95 %, bootstrap", "95 %, Student"]
    rows = [["comparison", "epochs", "labels", *titles]]
    for first, second in PAIRS:
        for own, other in compared_lengths(values, first, second, epochs, longer):
            ways = [("finetune", share, f"{share} %") for share in SHARES]
            for kind, share, title in (*ways, ("cosine", DECIDING_SHARE, _COSINE)):
                found = difference(values, (first, own), (second, other), share, kind)
                if found:
                    intervals = [_interval(found.bootstrap), _interval(found.student)]
                    by_seed = ", ".join(f"{gain:+.1f}" for gain in found.gains)
                    row = [_pair(first, second), f"{own}, {other}", title]
                    rows.append([*row, f"{mean(found.gains):+.1f}", by_seed, *intervals])
    return markdown(rows)


def _pair(first: str, second: str) -> str:
    return f"{TITLES[first]} minus {TITLES[second]}"


def _interval(limits: tuple[float, float] | None) -> str:
    return f"{limits[0]:+.2f} to {limits[1]:+.2f}" if limits else ""


def decisions(values: Values, epochs: int, longer: int, kind: str = "finetune") -> str:
    """State for each pair of rivals what the comparisons that decide show.

    The ``kind`` of the jobs is ``finetune``, or ``cosine`` for fine-tuning of fixed length.
    """
    lines = []
    for first, second in RIVALS:
        at_equal_time = [n for n in lengths(values, second) if n not in (epochs, longer)]
        others = (epochs, *at_equal_time)
        found = [
            difference(values, (first, epochs), (second, other), DECIDING_SHARE, kind)
            for other in others
        ]
        complete = [each for each in found if each and len(each.gains) == len(SEEDS)]
        names = TITLES[first], TITLES[second]
        lines.append(f"- {' against '.join(names)}: {_decision(complete, *names)}\n")
    return "".join(lines)


def _decision(complete: list[Difference], first: str, second: str) -> str:
    if len(complete) < 2:
        return "not decided, because results are missing"
    intervals = [limits for each in complete for limits in (each.bootstrap, each.student) if limits]
    if all(low > 0 for low, _ in intervals):
        return f"{first} is better"
    if all(high < 0 for _, high in intervals):
        return f"{second} is better"
    return "neither is better both at equal epochs and at equal time"


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
                    row = [_pair(first, second), heading(kind), count, ", ".join(texts)]
                    rows.append(row)
    return markdown(rows)


def teachers(values: Values) -> str:
    """Format the accuracies of the teachers' features, and the seconds of their students.

    The features are normalized as for the targets, unlike those of the students.
    """
    rows = [["student", "k-NN of the teacher", "linear probe", "seconds per epoch"]]
    for name, found in values.get("teacher_quality", {}).items():
        numbers = [f"{found['knn']:.1f}", f"{found['probe']:.1f}", f"{found['seconds']:.0f}"]
        rows.append([TITLES[name], *numbers])
    return markdown(rows)


def ends(values: Values, most: dict[int, int]) -> str:
    """Format the epochs of the fine-tunings; those that the limit ended might have improved."""
    rows = [["start", "labels", "rate", "epochs by seed", "ended by the limit"]]
    names = [name for family in FAMILIES.values() for name in family]
    starts = [(name, length) for name in names for length in lengths(values, name)]
    for (name, length), (share, limit) in product(starts, most.items()):
        jobs = (Job("finetune", Start(name, seed, length), share) for seed in SEEDS)
        found = [values[job.label] for job in jobs if job.label in values]
        if found:
            last = [each["last_epoch"] for each in found]
            limited = str(sum(each >= limit for each in last))
            rates = ", ".join(f"{rate:g}" for rate in sorted({each["rate"] for each in found}))
            label = TITLES[name] + (f", {length} epochs" if length else "")
            rows.append([label, f"{share} %", rates, ", ".join(map(str, last)), limited])
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
        row = [TITLES[method], *(f"{number:.0f}" for number in numbers)]
        rows.append([*row, *per_token])
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
            rows.append([TITLES[name], str(len(labels)), *(f"{mean(ap):.3f}" for ap in each)])
    return markdown(rows) if rows else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    parser.add_argument("--picture", type=Path, help="file to draw")
    parser.add_argument("--length", choices=LENGTHS, default="long")
    args = parser.parse_args()
    values = read(args.results)
    length = LENGTHS[args.length]
    changed = [(name, length.epochs, variant) for variant, (name, _) in ABLATIONS.items()]
    base = [(name, length.epochs, "") for name in ("mixmae", "mae", "mrmae_self")]
    parts: dict[str, Any] = {
        f"Accuracy, {TITLES[family]}": table(
            values, [(name, epochs, "") for name in names for epochs in lengths(values, name)]
        )
        for family, names in FAMILIES.items()
    }
    parts |= {
        "What decides": decisions(values, length.epochs, length.longer),
        "The same with fine-tuning of fixed length": decisions(
            values, length.epochs, length.longer, "cosine"
        ),
        "Differences": differences(values, length.epochs, length.longer),
        "Frozen encoders during pre-training": curves(values),
        "Gains of frozen encoders during pre-training": gaps(values),
        "Searches for the learning rate, seed 0": searches(
            values, length.most_epochs[DECIDING_SHARE]
        ),
        "Teachers": teachers(values),
        "Ends of the fine-tunings": ends(values, length.most_epochs),
        "Price of mask tokens": costs(values, length.images),
        "Box AP by iteration": detection(values),
        "Ablations": table(values, [*base, *changed], TWO_SEEDS),
    }
    for title, text in parts.items():
        print(f"{title}\n\n{text or 'no results yet'}\n")
    if args.picture:
        draw(values, args.picture, length.epochs)


if __name__ == "__main__":
    main()
