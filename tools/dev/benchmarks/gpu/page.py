"""Markdown page of a report."""

from typing import Any

from gpu.job import one_line
from gpu.markdown import table
from gpu.step_tables import step_lines

TITLES = dict(suite="Tests", steps="Training steps", loading="Data loading", cifar10="CIFAR-10")


def page(report: dict[str, Any]) -> str:
    """Return the page of a report."""
    machine = report["machine"]
    lines = [f"# Measured on {machine['device']}", ""]
    if report["small"]:
        lines += ["Tiny models on a CPU: these figures only show that the report works.", ""]
    lines += _machine_lines(machine)
    writers = dict(suite=_suite, steps=step_lines, loading=_loading, cifar10=_cifar10)
    for name, section in report["sections"].items():
        lines += ["", f"## {TITLES[name]}", ""]
        if "error" in section:
            lines.append(f"No figures: {section['error']}")
            continue
        try:
            lines += writers[name](section)
        except Exception as error:  # a run on a GPU is precious
            lines.append(f"{one_line(error)}; the figures are in report.json")
    return "\n".join([*lines, ""])


def _machine_lines(machine: dict[str, Any]) -> list[str]:
    numbers = {
        key: f"{value:.0f}" if isinstance(value, float) else value
        for key, value in machine["hardware"].items()
    }
    changes = machine["changed_files"]
    commit = machine["commit"] + (f" with {changes} changed files" if changes else "")
    facts = dict(commit=commit) | numbers | machine["versions"]
    return [
        *table(["machine", ""], list(map(list, facts.items()))),
        "",
        "```bash",
        machine["command"],
        "```",
    ]


def _suite(section: dict[str, Any]) -> list[str]:
    rows, notes = [], []
    for name, outcome in section["files"].items():
        if "error" in outcome:
            rows.append([f"tests/gpu/test_{name}.py", "", "", "", outcome["error"]])
            continue
        failed, skipped = outcome["failed"], outcome["skipped"]
        reasons = "; ".join(dict.fromkeys(skipped.values()))
        counts = [len(outcome["passed"]), len(failed), len(skipped)]
        rows.append([f"tests/gpu/test_{name}.py", *counts, reasons])
        notes += [f"- FAILED {test}: {message}" for test, message in failed.items()]
        kernels = sorted({k for names in outcome["kernels"].values() for k in names if k})
        notes += [f"- attention kernel: `{kernel}`" for kernel in kernels]
        notes += [f"- measured: {figures}" for figures in outcome["measured"]]
    head = table(["file", "passed", "failed", "skipped", "reason of skips"], rows)
    return [*head, "", *notes] if notes else head


def _loading(section: dict[str, Any]) -> list[str]:
    rows = []
    for workers, pipelines in section["workers"].items():
        for name, row in pipelines.items():
            rate, gain = row["per_core"], row["speedup"]
            rows.append(
                [
                    workers,
                    name,
                    f"{rate['median']:.0f} ({rate['min']:.0f} - {rate['max']:.0f})",
                    f"{row['wall']['median']:.0f}",
                    f"{gain['median']:.2f} ({gain['min']:.2f} - {gain['max']:.2f})",
                ]
            )
    columns = ["workers", "pipeline", "images/s per core (min - max)", "images/s per worker",
               "speed-up (min - max)"]  # fmt: skip
    head = (
        f"{section['images']} crops of {section['files']} {section['pixels']}, medians of"
        f" {section['repeats']} alternating measurements."
    )
    return [head, "", *table(columns, rows)]


def _cifar10(section: dict[str, Any]) -> list[str]:
    lines = [f"Size {section['size']}. " + (section["stopped"] or "All jobs have finished."), ""]
    jobs = [[name, f"{seconds:.0f}"] for name, seconds in section["seconds"].items()]
    lines += table(["finished job", "s"], jobs)
    if section["seconds_per_epoch"]:
        rows = [
            [name.removeprefix("calibrate_"), f"{seconds:.2f}"]
            for name, seconds in section["seconds_per_epoch"].items()
        ]
        lines += ["", *table(["method", "s per epoch"], rows)]
    accuracies = [
        [name, epoch, *(f"{value:.1f}" for value in numbers(found).values())]
        for name, epochs in section["accuracies"].items()
        for epoch, found in epochs.items()
    ]
    if accuracies:
        first = next(iter(next(iter(section["accuracies"].values())).values()))
        lines += ["", *table(["encoder", "epoch", *numbers(first)], accuracies)]
    return lines


def numbers(accuracies: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """Return the numbers of nested dictionaries, with joined names."""
    found: dict[str, float] = {}
    for key, value in accuracies.items():
        if isinstance(value, dict):
            found |= numbers(value, f"{prefix}{key} ")
        else:
            found[f"{prefix}{key}"] = value
    return found
