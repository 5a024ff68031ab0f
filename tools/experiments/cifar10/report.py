"""The experiment's table and picture."""

from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.figure import Figure

NAMES = dict(random="random weights", mae="MAE", mrmae="MR-MAE")
COLOURS = dict(random="tab:gray", mae="tab:blue", mrmae="tab:orange")


def final(result: dict[str, Any], kind: str) -> float:
    """Accuracy at the end of pre-training: of the last ``probe``, or of ``finetune``."""
    if kind == "finetune":
        return result["finetune"]
    return result["probes"][max(result["probes"], key=int)]


def result_table(results: dict[str, Any], seeds: list[int]) -> str:
    """A Markdown table with the accuracy of every start, evaluation and seed."""
    header = ["start", *(f"{kind}, seed {s}" for kind in ("probe", "few labels") for s in seeds)]
    header[len(seeds) + 1 : len(seeds) + 1] = ["probe, mean"]
    header.append("few labels, mean")
    lines = [header, ["---"] * len(header)]
    for name, title in NAMES.items():
        cells = [title]
        for kind in ("probe", "finetune"):
            values = [final(results[f"{name} {seed}"], kind) for seed in seeds]
            cells += [f"{value:.1f}" for value in [*values, mean(values)]]
        lines.append(cells)
    teacher = results["teacher"]
    empty = [""] * len(seeds)
    lines.append(["teacher", *empty, f"{teacher['probe']:.1f}", *empty, ""])
    rows = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{rows}\nTeacher's own classifier: {teacher['accuracy']:.1f} %\n"


def draw_curves(results: dict[str, Any], seeds: list[int], file: Path) -> None:
    """Losses and probe accuracy over epochs, and the final accuracies with every seed."""
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    losses, probes, bars = figure.subplots(1, 3)
    for name in ("mae", "mrmae"):
        for seed in seeds:
            result = results[f"{name} {seed}"]
            label = NAMES[name] if seed == seeds[0] else None
            draw_losses(losses, result["losses"], COLOURS[name], label)
            curve = results[f"random {seed}"]["probes"] | result["probes"]
            points = sorted((int(epoch), value) for epoch, value in curve.items())
            probes.plot(*zip(*points, strict=True), "o-", color=COLOURS[name], label=label)
    losses.set(xlabel="epoch", ylabel="loss", title="pre-training losses")
    probes.axhline(results["teacher"]["probe"], color="k", ls=":", label="teacher")
    probes.set(xlabel="epoch", ylabel="top-1, %", title="linear probe on frozen features")
    draw_bars(bars, results, seeds)
    for axes in (losses, probes):
        axes.legend(fontsize=8)
    figure.savefig(file, dpi=90)


def draw_losses(axes: Any, losses: dict[str, list[float]], colour: str, label: str | None) -> None:
    """Reconstruction as a full line, mimicry as a dashed one, over epochs."""
    scale = max(losses["epoch"]) / max(losses["step"])
    epochs = [step * scale for step in losses["step"]]
    axes.plot(epochs, losses["loss_rec"], color=colour, label=label and f"{label}: pixels")
    if "loss_mimic" in losses:
        text = label and f"{label}: features"
        axes.plot(epochs, losses["loss_mimic"], "--", color=colour, label=text)


def draw_bars(axes: Any, results: dict[str, Any], seeds: list[int]) -> None:
    """Mean final accuracies as bars, seeds as points."""
    kinds = dict(probe="linear probe", finetune="few labels")
    for place, kind in enumerate(kinds):
        for offset, (name, title) in enumerate(NAMES.items()):
            values = [final(results[f"{name} {seed}"], kind) for seed in seeds]
            x = place + 0.27 * (offset - 1)
            label = title if place == 0 else None
            axes.bar(x, mean(values), 0.25, color=COLOURS[name], label=label)
            axes.plot([x] * len(values), values, "k.", ms=4)
            axes.annotate(f"{mean(values):.1f}", (x, max(values) + 1), ha="center", fontsize=8)
    axes.set_xticks(range(len(kinds)), list(kinds.values()))
    axes.set(ylabel="top-1, %", title="at the end: mean, seeds as points")
    axes.set_ylim(0, axes.get_ylim()[1] * 1.25)
    axes.legend(fontsize=8, ncols=3, loc="upper center")
