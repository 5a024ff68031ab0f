"""Lines and tables of gpu_cost.py."""

from collections import defaultdict

from gpu_model import PHASES, GpuCost, GpuRates

GB = 1e9


def report(cost: GpuCost, gpus: dict[str, GpuRates], operations: int) -> list[str]:
    """Return the lines of a report on one config."""
    lines = [
        f"{'':10}{'launches':>10}{'GB moved':>10}{'TFLOP':>8}"
        + "".join(f"{name + ' ms':>9}" for name in gpus)
    ]
    for phase in (*PHASES, None):
        lines.append(
            f"{phase or 'step':10}{cost.launches(phase):10}{cost.bytes(phase) / GB:10.1f}"
            f"{cost.flops(phase) / 1e12:8.2f}"
            + "".join(f"{1e3 * cost.seconds(rates, phase):9.1f}" for rates in gpus.values())
        )
    lines.append(f"{'MFU %':38}" + "".join(f"{100 * cost.mfu(r):9.1f}" for r in gpus.values()))
    lines.append(
        f"memory: {cost.kept_bytes / GB:.1f} GB kept for the backward pass, peak"
        f" {cost.peak_bytes / GB:.1f} GB with weights and optimizer"
    )
    calls = [
        f"{count} x {backend.name.lower()}" + (f" ({reason})" if reason else "")
        for (backend, reason), count in cost.attention.items()
    ]
    if cost.triton_attention:
        calls.append(f"{cost.triton_attention} x triton")
    lines.append(f"attention kernels: {', '.join(calls) or 'none'}")
    lines.append(f"host waits per step: {len(cost.waits)}")
    lines += [f"  {phase}: {cause}" for phase, cause in cost.waits]
    return lines + operation_lines(cost, next(iter(gpus.values())), operations)


def operation_lines(cost: GpuCost, rates: GpuRates, limit: int) -> list[str]:
    sums: dict = defaultdict(lambda: [0, 0, 0.0])
    for operation in cost.operations:
        found = sums[operation.phase, operation.name, operation.is_float32]
        found[0] += operation.launches
        found[1] += operation.bytes
        found[2] += rates.seconds(operation)
    longest = sorted(sums.items(), key=lambda item: -item[1][2])[:limit]
    return [
        f"  {1e3 * seconds:8.2f} ms {launches:6} launches {moved / GB:8.1f} GB  {phase} {name}"
        + (" float32" if is_float32 else "")
        for (phase, name, is_float32), (launches, moved, seconds) in longest
    ]


def table_head(gpus: dict[str, GpuRates]) -> list[str]:
    columns = ["modeled", *(f"{name} ms (MFU %)" for name in gpus), "launches", "GB moved",
               "TFLOP", "GB kept", "GB peak", "host waits"]  # fmt: skip
    return [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]


def table_row(name: str, cost: GpuCost, gpus: dict[str, GpuRates]) -> str:
    times = [f"{1e3 * cost.seconds(r):.0f} ({100 * cost.mfu(r):.0f})" for r in gpus.values()]
    figures = [cost.launches(), f"{cost.bytes() / GB:.0f}", f"{cost.flops() / 1e12:.1f}",
               f"{cost.kept_bytes / GB:.1f}", f"{cost.peak_bytes / GB:.1f}",
               len(cost.waits)]  # fmt: skip
    return f"| {' | '.join(map(str, [name, *times, *figures]))} |"
