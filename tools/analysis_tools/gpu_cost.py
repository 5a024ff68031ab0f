"""Model the cost of a training step on a GPU, without a GPU: time, memory, launches, host waits.

The real step of the config runs on tensors without values: preprocessing, forward pass under CUDA's
autocast rules, backward pass and optimizer. Times are modelled from assumed rates, not measured,
and assume that the GPU is never idle. Of detectors and segmentors, only the backbone runs.
"""

import argparse
import warnings
from collections import defaultdict
from dataclasses import fields, replace
from typing import Any

import torch
from gpu_plan import IMAGES, check_plan, plan_head, plan_row
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.logging import MMLogger

from mim_plugins.analysis import (
    GPUS,
    PHASES,
    GpuCost,
    GpuRates,
    build_on_meta,
    count_graphs,
    fit_memory,
    training_cost,
)
from mim_plugins.apis import override_config, read_config
from mim_plugins.cli import add_config_options, user_errors
from mim_plugins.errors import BUILD_ERRORS, ConfigError

DTYPES = ("float32", "bfloat16", "float16")
STEPS = 10
GB = 1e9


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "configs",
        nargs="+",
        metavar="CONFIG",
        help="config files, names of list_models(), or configs of other projects such as"
        " mmpretrain::mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py",
    )
    parser.add_argument("--batch", type=int, help="images per step (default: the config's)")
    parser.add_argument(
        "--img-size",
        type=int,
        nargs="+",
        metavar="PIXELS",
        help="side, or height and width (default: the backbone's img_size)",
    )
    parser.add_argument("--dtype", choices=DTYPES, help="of autocast (default: the config's)")
    parser.add_argument("--gpus", nargs="+", choices=list(GPUS), default=list(GPUS))
    parser.add_argument(
        "--rates",
        nargs="+",
        default=[],
        metavar="GPU.RATE=VALUE",
        help=f"other rates, such as H200.bandwidth=4.5e12; rates are"
        f" {', '.join(field.name for field in fields(GpuRates))}",
    )
    parser.add_argument("--operations", type=int, default=0, help="list the N longest operations")
    parser.add_argument(
        "--graphs", action="store_true", help=f"count torch.compile's graphs over {STEPS} masks"
    )
    parser.add_argument(
        "--plan",
        type=float,
        nargs="+",
        metavar="GB",
        help="print a Markdown table of options for GPUs with this memory, and of the hours that"
        f" 100 epochs of {IMAGES:,} images take on one GPU",
    )
    parser.add_argument("--table", action="store_true", help="print a Markdown table instead")
    add_config_options(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    MMLogger.get_instance("gpu_cost", log_level="ERROR")
    warnings.simplefilter("ignore")  # only shapes matter
    with user_errors(also=BUILD_ERRORS):
        gpus = chosen_gpus(args)
        if args.plan:
            print("\n".join(plan_head(gpus, args.plan)))
        elif args.table:
            print("\n".join(table_head(gpus)))
        for name in args.configs:
            cfg = config(name)
            override_config(cfg, args.cfg_options)
            batch = args.batch or cfg.train_dataloader.batch_size
            dtype = args.dtype or configured_dtype(cfg)
            model: Any = build_on_meta(cfg)
            size = image_size(model, args.img_size)
            if args.plan:
                check_plan(name, model, batch)
            cost = training_cost(model, cfg, batch, size, getattr(torch, dtype))
            if args.plan:
                fits = fit_memory(
                    cfg, batch, size, getattr(torch, dtype), [GB * x for x in args.plan]
                )
                print(plan_row(short(name), batch, cost, gpus, fits), flush=True)
                continue
            if args.table:
                print(table_row(f"{short(name)}, {batch} images, {dtype}", cost, gpus))
                continue
            print(f"{name}: {batch} images of {size[0]}x{size[1]} pixels, {dtype}; modelled")
            print("\n".join(report(cost, gpus, args.operations)))
            if args.graphs:
                print("\n".join(graph_lines(build_on_meta(cfg), size)))


def chosen_gpus(args: argparse.Namespace) -> dict[str, GpuRates]:
    """Return the rates of the GPUs of the command line."""
    gpus = {name: GPUS[name] for name in args.gpus}
    for text in args.rates:
        place, _, value = text.partition("=")
        gpu, _, rate = place.partition(".")
        try:
            gpus[gpu] = replace(gpus[gpu], **{rate: float(value)})
        except (KeyError, TypeError, ValueError):
            raise ConfigError(
                f"--rates {text}: use GPU.RATE=NUMBER, with a GPU of {', '.join(gpus)} and a rate"
                f" of {', '.join(field.name for field in fields(GpuRates))}"
            ) from None
    return gpus


def config(name: str) -> Config:
    return get_config(name) if "::" in name else read_config(name)


def short(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".py")


def configured_dtype(cfg: Config) -> str:
    """Return the precision that the config trains in."""
    if not str(cfg.optim_wrapper.get("type")).endswith("AmpOptimWrapper"):
        return "float32"
    return str(cfg.optim_wrapper.get("dtype") or "float16").removeprefix("torch.")


def image_size(model: Any, wanted: list[int] | None) -> tuple[int, int]:
    sides = wanted or getattr(model.backbone, "img_size", None) or [224]
    sides = [sides] if isinstance(sides, int) else list(sides)
    return int(sides[0]), int(sides[-1])


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


def graph_lines(model: Any, size: tuple[int, int]) -> list[str]:
    """Count the graphs of a pre-training model."""
    data = dict(inputs=torch.zeros(4, 3, *size), data_samples=[None] * 4)
    model.to("meta")
    model.data_preprocessor.static_shapes = True
    batches = (model.data_preprocessor(dict(data), True)["inputs"] for _ in range(STEPS))
    counts = count_graphs(model.loss, batches)
    lines = [
        f"torch.compile: {counts.graphs} graphs, {counts.recompiled} recompiled for"
        f" {STEPS - 1} other masks, {sum(counts.breaks.values())} graph breaks"
    ]
    return lines + [f"  {count} x {reason}" for reason, count in counts.breaks.items()]


def table_head(gpus: dict[str, GpuRates]) -> list[str]:
    columns = ["modelled", *(f"{name} ms (MFU %)" for name in gpus), "launches", "GB moved",
               "TFLOP", "GB kept", "GB peak", "host waits"]  # fmt: skip
    return [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]


def table_row(name: str, cost: GpuCost, gpus: dict[str, GpuRates]) -> str:
    times = [f"{1e3 * cost.seconds(r):.0f} ({100 * cost.mfu(r):.0f})" for r in gpus.values()]
    figures = [cost.launches(), f"{cost.bytes() / GB:.0f}", f"{cost.flops() / 1e12:.1f}",
               f"{cost.kept_bytes / GB:.1f}", f"{cost.peak_bytes / GB:.1f}",
               len(cost.waits)]  # fmt: skip
    return f"| {' | '.join(map(str, [name, *times, *figures]))} |"


if __name__ == "__main__":
    main()
