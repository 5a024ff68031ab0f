"""Figure of the longer comparison."""

from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.figure import Figure
from study_plan import FAMILIES, SEEDS, TITLES, Job, Start
from study_statistics import Values, lengths


def draw(values: Values, file: Path, epochs: int) -> None:
    """Plot the accuracy of frozen encoders over minutes of pre-training.

    The curve of the student of the teacher trained here begins after the teacher's ``epochs``.
    """
    seconds = dict(values.get("calibrate", {}))
    students = values.get("teacher_quality", {})
    if seconds and students:
        # measured another time, so relative to the student that both measured
        scale = seconds["mrmae"] / students["mrmae_labels"]["seconds"]
        seconds |= {name: scale * found["seconds"] for name, found in students.items()}
    before = dict(mrmae_self=epochs * seconds.get("mae", 0.0))
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, (family, names) in zip(figure.subplots(1, 2), FAMILIES.items(), strict=True):
        for name in names:
            for length in lengths(values, name):
                start = before.get(name, 0.0)
                _draw_curve(axes, values, name, length, seconds.get(name), start)
        axes.set(title=TITLES[family], xlabel="minutes of pre-training", ylabel="k-NN top-1, %")
        if axes.has_data():
            axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    figure.savefig(file, dpi=90)


def _draw_curve(
    axes: Any, values: Values, name: str, epochs: int, seconds: float | None, start: float
) -> None:
    """Plot a curve that begins after ``start`` seconds; an epoch takes ``seconds``."""
    jobs = (Job("pretrain", Start(name, seed, epochs)).label for seed in SEEDS)
    curves = [values[job]["curve"] for job in jobs if job in values]
    if not epochs:
        level = mean(curve["0"]["knn"] for curve in curves)
        axes.axhline(level, color="gray", linestyle=":", label=TITLES[name])
    elif seconds is not None:
        steps = sorted(map(int, curves[0]))
        minutes = [(start + step * seconds) / 60 for step in steps]
        heights = [mean(curve[str(step)]["knn"] for curve in curves) for step in steps]
        axes.plot(minutes, heights, marker=".", label=f"{TITLES[name]}, {epochs} epochs")
