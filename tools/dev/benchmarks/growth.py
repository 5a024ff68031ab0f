"""Rows of a scaling measurement, and their growth."""

import math
from statistics import linear_regression, median
from typing import Any

from meters import MIB, spread

FIGURES = dict(step_s="step", least_s="fastest step", cpu_s="CPU time", gflops="GFLOP")
GROWTHS = ("step_s", "cpu_s", "images_per_s", "gflops", "peak_memory_mib")
Row = dict[str, Any]


def row(
    seconds: list[float], cpu_seconds: list[float], flops: float, peak_bytes: float, images: int
) -> Row:
    """Return the figures of a row.

    Args:
        seconds: wall time of each step of one process.
        cpu_seconds: CPU time of each step.
        flops: floating-point operations of a step.
        peak_bytes: peak memory of one process.
        images: images per step of all processes.
    """
    step = spread(seconds)
    return dict(
        step_s=step["median"],
        least_s=step["min"],
        most_s=step["max"],
        cpu_s=median(cpu_seconds),
        images_per_s=images / step["median"],
        gflops=flops / 1e9,
        peak_memory_mib=peak_bytes / MIB,
    )


def exponent(sizes: list[float], figures: list[float]) -> float | None:
    """Return the slope of log(figure) over log(size), None for fewer than two sizes."""
    return slope([math.log(size) for size in sizes], [math.log(figure) for figure in figures])


def slope(x: list[float], y: list[float]) -> float | None:
    """Return the slope of the least-squares line, None for fewer than two different ``x``."""
    return linear_regression(x, y).slope if len(set(x)) > 1 else None


def table(name: str, result: dict) -> str:
    """Format one line per row, each figure with its ratio to the first row."""
    rows = result["rows"]
    lines = [
        f"{name:>12} {'step s':>8} {'(min - max)':>17} {'growth':>7} {'CPU s':>8}"
        f" {'growth':>7} {'images/s':>9}"
        f" {'growth':>7} {'GFLOP':>9} {'growth':>7} {'peak MiB':>9} {'growth':>7}"
    ]
    for entry in rows:
        growth = {key: entry[key] / rows[0][key] for key in GROWTHS}
        lines.append(
            f"{str(entry[name])[:12]:>12} {entry['step_s']:8.3f}"
            f" {'{least_s:.3f} - {most_s:.3f}'.format(**entry):>17} {growth['step_s']:7.2f}"
            f" {entry['cpu_s']:8.3f} {growth['cpu_s']:7.2f}"
            f" {entry['images_per_s']:9.2f} {growth['images_per_s']:7.2f} {entry['gflops']:9.1f}"
            f" {growth['gflops']:7.3f} {entry['peak_memory_mib']:9.0f}"
            f" {growth['peak_memory_mib']:7.2f}"
        )
    exponents = result.get("exponents", {})
    if any(exponents.values()):
        lines.append(
            f"exponents over {name}: "
            + ", ".join(f"{FIGURES[key]} {value:.2f}" for key, value in exponents.items())
            + f"; peak memory grows by {result['peak_mib_per_image']:.0f} MiB per image"
            + (" of the first row's size" if name == "pixels" else "")
        )
    return "\n".join(lines)
