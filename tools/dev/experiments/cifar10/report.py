"""Tables and figure of the experiment."""

from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from matplotlib.figure import Figure
from titles import NAMES

COLORS = dict(mixmae="tab:red", simmim="tab:purple", mae="tab:blue", mrmae="tab:orange")
FAMILIES = dict(Swin=("random_swin", "mixmae", "simmim"), ViT=("random_vit", "mae", "mrmae"))
LOSSES = dict(loss_rec="pixels", loss="pixels", loss_mimic="features")


def heading(kind: str) -> str:
    """Return the column title of an evaluation."""
    share = kind.removeprefix("finetune_")
    return dict(knn="k-NN", probe="linear probe").get(kind, f"{share} % labels")


def spread(values: list[float]) -> str:
    """Format mean and standard deviation over the seeds."""
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def markdown(rows: Iterable[Iterable[str]]) -> str:
    """Format a Markdown table; the first row is the header."""
    lines = [f"| {' | '.join(row)} |\n" for row in rows]
    lines.insert(1, "|" + " --- |" * (lines[0].count(" | ") + 1) + "\n")
    return "".join(lines)


def accuracy_table(results: dict[str, Any], epochs: dict[str, int]) -> str:
    """Format the accuracies of random weights and of every method after its ``epochs``."""
    kinds = list(results["runs"][0]["final"])
    rows = [["start", "epochs", "minutes", *map(heading, kinds)]]
    for name, title in NAMES.items():
        length = epochs.get(name, 0)
        finals = [r["final"] for r in results["runs"] if (r["name"], r["epochs"]) == (name, length)]
        minutes = length * results["seconds_per_epoch"].get(name, 0) / 60
        cells = [spread([final[kind] for final in finals]) for kind in kinds]
        rows.append([title, str(length), f"{minutes:.1f}", *cells])
    return markdown(rows)


def report(results: dict[str, Any]) -> str:
    """Return both tables in Markdown."""
    equal = dict.fromkeys(results["equal_time"], results["equal_epochs"])
    seeds = len(results["seeds"])
    teacher = results["teacher"]
    return (
        f"Equal epochs (top-1 in %, {seeds} seeds):\n\n{accuracy_table(results, equal)}\n"
        f"Equal time:\n\n{accuracy_table(results, results['equal_time'])}\n"
        f"The teacher's own classifier: {teacher['accuracy']:.1f} %;"
        f" linear probe of its features: {teacher['probe']:.1f} %, k-NN: {teacher['knn']:.1f} %.\n"
    )


def draw(results: dict[str, Any], file: Path) -> None:
    """Plot accuracy over pre-training time and losses over epochs, for Swin and ViT."""
    figure = Figure(figsize=(13, 7), layout="constrained")
    for row, (family, names) in zip(figure.subplots(2, 3), FAMILIES.items(), strict=True):
        for axes, kind in zip(row, ("knn", "probe"), strict=False):
            draw_accuracy(axes, results, names, kind)
            axes.set(xlabel="minutes of pre-training", ylabel="top-1, %")
            axes.set_title(f"{family}: {heading(kind)}")
        draw_losses(row[2], results, names)
        row[2].set(xlabel="epoch", ylabel="loss", title=f"{family}: losses, seed 0, equal time")
        for axes in row:
            axes.legend(fontsize=8)
            axes.grid(alpha=0.3)
    figure.savefig(file, dpi=90)


def draw_accuracy(axes: Any, results: dict[str, Any], names: tuple[str, ...], kind: str) -> None:
    """Plot the accuracy of every run over time, and random weights as a dotted line."""
    runs = [run for run in results["runs"] if run["name"] in names]
    level = mean(run["final"][kind] for run in runs if run["name"] == names[0])
    axes.axhline(level, color="gray", ls=":", label=NAMES[names[0]])
    for name in names[1:]:
        label: str | None = NAMES[name]
        minutes = results["seconds_per_epoch"][name] / 60
        for run in runs:
            if run["name"] == name:
                points = sorted((int(e) * minutes, v[kind]) for e, v in run["curve"].items())
                axes.plot(
                    *zip(*points, strict=True), "o-", ms=3, lw=1, color=COLORS[name], label=label
                )
                label = None


def draw_losses(axes: Any, results: dict[str, Any], names: tuple[str, ...]) -> None:
    """Plot the losses of the first seed at equal time: pixels solid, features dashed."""
    for run in results["runs"]:
        name = run["name"]
        wanted = run["epochs"] == results["equal_time"].get(name) and name in names
        if not wanted or run["seed"] != results["seeds"][0]:
            continue
        logs = run["losses"]
        scale = run["epochs"] / max(logs["step"])
        epochs = [step * scale for step in logs["step"]]
        kinds = [key for key in ("loss_rec", "loss_mimic") if key in logs] or ["loss"]
        for kind in kinds:
            style = "--" if kind == "loss_mimic" else "-"
            label = f"{NAMES[name]}: {LOSSES[kind]}"
            axes.plot(epochs, logs[kind], style, lw=1, color=COLORS[name], label=label)
