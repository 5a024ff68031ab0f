"""Tables of training steps: what was measured, and apart from it what was modeled."""

from typing import Any

from gpu.markdown import table

GB = 1e9


def step_lines(section: dict[str, Any]) -> list[str]:
    """Return the tables of the section on training steps."""
    measured, modeled = section["measured"], section["modeled"]
    head = "Medians of complete steps: copy of the images, forward and backward pass, AdamW."
    lines = [head, ""]
    lines += _measured(measured)
    if not modeled:
        return [*lines, "", f"No modeled figures: {section.get('modeled_error', 'none')}"]
    lines += ["", "Memory of eager steps. The modeled columns were computed, not measured.", ""]
    lines += _memory(measured, modeled)
    lines += [
        "",
        f"Modeled time of eager steps on {section['gpu_of_model']}. Nothing in this table was"
        " measured.",
        "",
    ]
    return lines + _modeled(modeled)


def _key(row: dict[str, Any]) -> tuple:
    return row["dtype"], row.get("compiled", False), row["batch"]


def _measured(rows: list[dict[str, Any]]) -> list[str]:
    rates = {
        (row["name"], *_key(row)): row["images_per_s"] for row in rows if "images_per_s" in row
    }
    lines = []
    for row in rows:
        mode = "compiled" if row["compiled"] else "eager"
        cells = [row["name"], row["dtype"], mode, row["batch"]]
        if "error" in row:
            lines.append([*cells, row["error"], "", "", "", ""])
            continue
        step = {key: 1e3 * value for key, value in row["step_s"].items()}
        peer = rates.get((row["peer"], *_key(row)))
        lines.append(
            [
                *cells,
                "{median:.1f} ({min:.1f} - {max:.1f})".format(**step),
                f"{row['images_per_s']:.0f}",
                f"{row['images_per_s'] / peer:.2f}" if peer else "",
                f"{row['peak_bytes'] / GB:.2f}",
                f"{row['warmup_s']:.1f}",
            ]
        )
    columns = ["model", "precision", "mode", "images", "step ms (min - max)", "images/s",
               "times mmpretrain's", "peak GB", "warm-up s"]  # fmt: skip
    return table(columns, lines)


def _memory(measured: list[dict[str, Any]], modeled: list[dict[str, Any]]) -> list[str]:
    peaks = {
        (row["name"], *_key(row)): row["peak_bytes"] / GB
        for row in measured
        if "peak_bytes" in row and not row["compiled"]
    }
    lines = []
    for row in modeled:
        peak = peaks.get((row["name"], *_key(row)))
        figures = [f"{peak:.2f}" if peak else "", f"{row['peak_bytes'] / GB:.2f}"]
        share = f"{peak / (row['peak_bytes'] / GB):.2f}" if peak else ""
        lines.append([row["name"], row["dtype"], row["batch"], *figures, share])
    models = dict.fromkeys((row["name"], row["dtype"]) for row in modeled)
    slopes = list(filter(None, (_slope(*model, peaks, modeled) for model in models)))
    columns = ["model", "precision", "images", "peak GB, measured", "peak GB, modeled",
               "measured / modeled"]  # fmt: skip
    text = table(columns, lines)
    if slopes:
        columns = ["model", "precision", "MB per image, measured", "MB per image, modeled"]
        text += ["", *table(columns, slopes)]
    return text


def _slope(name: str, dtype: str, peaks: dict, modeled: list[dict[str, Any]]) -> list[Any] | None:
    """Compare the growth of the peak between the smallest and the largest batch."""
    own = {row["batch"]: row for row in modeled if (row["name"], row["dtype"]) == (name, dtype)}
    low, high = min(own), max(own)
    ends = [
        peaks[name, dtype, False, batch]
        for batch in (low, high)
        if (name, dtype, False, batch) in peaks
    ]
    if low == high or len(ends) < 2:
        return None
    images = high - low
    predicted = (own[high]["peak_bytes"] - own[low]["peak_bytes"]) / images / 1e6
    return [name, dtype, f"{1e3 * (ends[1] - ends[0]) / images:.0f}", f"{predicted:.0f}"]


def _modeled(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        [
            row["name"],
            row["dtype"],
            row["batch"],
            f"{1e3 * row['step_s']:.1f}",
            row["launches"],
            f"{row['kept_bytes'] / GB:.2f}",
        ]
        for row in rows
    ]
    columns = ["model", "precision", "images", "modeled ms", "launches", "GB kept"]
    return table(columns, lines)
