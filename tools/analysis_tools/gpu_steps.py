"""Report of gpu_cost.py on training steps."""

import argparse
import warnings
from collections.abc import Sequence
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from gpu_arguments import check_options, chosen_gpus
from gpu_lines import GB, report, table_head, table_row
from gpu_model import GpuRates, count_graphs, fit_memory, training_cost
from gpu_plan import check_plan, plan_head, plan_row
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.logging import MMLogger

from mim_plugins.algorithms import PretrainingModel
from mim_plugins.algorithms.dependent_parts import image_channels
from mim_plugins.analysis import build_on_meta
from mim_plugins.apis import override_config, read_config
from mim_plugins.cli import user_errors
from mim_plugins.cli.ctrl_c import wants_traceback
from mim_plugins.errors import BUILD_ERRORS, ConfigError, UserError

STEPS = 10


def run(args: argparse.Namespace) -> None:
    """Print the report, or the table, of the configs of the command line."""
    MMLogger.get_instance("gpu_cost", log_level="ERROR")
    warnings.simplefilter("ignore")  # only shapes matter
    with user_errors():
        check_options(args)
        gpus = chosen_gpus(args)
        if args.plan:
            print("\n".join(plan_head(gpus, args.plan)))
        elif args.table:
            print("\n".join(table_head(gpus)))
        failures = []
        for name in args.configs:
            try:
                print_config(name, args, gpus)
            except (UserError, RuntimeError, *BUILD_ERRORS) as error:
                if wants_traceback(False):
                    raise
                reason = shorten(f"{type(error).__name__}: {error}", 200, placeholder=" ...")
                failures.append(f"{name}: {reason}")
                cells = f"| {short(name)} | not modeled: {reason} |"
                print(cells if args.plan or args.table else f"{name}: not modeled: {reason}")
        if failures:
            raise ConfigError(
                f"{len(failures)} of {len(args.configs)} configs not modeled: {'; '.join(failures)}"
            )


def print_config(name: str, args: argparse.Namespace, gpus: dict[str, GpuRates]) -> None:
    """Print the rows or the reports of one config."""
    cfg = config(name)
    override_config(cfg, args.cfg_options)
    batch = args.batch or cfg.train_dataloader.batch_size
    dtype = args.dtype or configured_dtype(cfg)
    precision = getattr(torch, dtype)
    compiled = [(scope, budget) for scope in args.compile for budget in args.memory_budget]
    for scope, budget in ((None, 1.0), *compiled):
        model: Any = build_on_meta(cfg)
        size = image_size(model, cfg, args.img_size)
        if args.plan:
            check_plan(name, model, batch)
        # the mask determines what attention saves, and Mixup or CutMix is chosen at random
        torch.manual_seed(0)
        np.random.seed(0)
        cost = training_cost(model, cfg, batch, size, precision, scope=scope, memory_budget=budget)
        how = f", compiled by {scope}" if scope else ""
        how += f", memory_budget={budget:g}" if budget < 1 else ""
        if args.plan:
            fits = fit_memory(cfg, batch, size, precision, [GB * x for x in args.plan])
            print(plan_row(short(name), batch, cost, gpus, fits), flush=True)
        elif args.table:
            print(table_row(f"{short(name)}, {batch} images, {dtype}{how}", cost, gpus), flush=True)
        else:
            print(f"{name}: {batch} images of {size[0]}x{size[1]} pixels, {dtype}{how}; modeled")
            print("\n".join(report(cost, gpus, args.operations)), flush=True)
    if args.graphs:
        print("\n".join(graph_lines(build_on_meta(cfg), size)))


def config(name: str) -> Config:
    return get_config(name) if "::" in name else read_config(name)


def short(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".py")


def configured_dtype(cfg: Config) -> str:
    """Return the precision that the config trains in."""
    if not str(cfg.optim_wrapper.get("type")).endswith("AmpOptimWrapper"):
        return "float32"
    return str(cfg.optim_wrapper.get("dtype") or "float16").removeprefix("torch.")


def image_size(model: Any, cfg: Config, wanted: Sequence[int] | None) -> tuple[int, int]:
    own = getattr(model.backbone, "img_size", None) or cfg.model.backbone.get("img_size")
    sides = wanted or own or [224]
    sides = [sides] if isinstance(sides, int) else list(sides)
    return int(sides[0]), int(sides[-1])


def graph_lines(model: Any, size: tuple[int, int]) -> list[str]:
    """Count the graphs of a pre-training model.

    Raises:
        ConfigError: it is another model.
    """
    if not isinstance(model, PretrainingModel):
        raise ConfigError(
            f"--graphs is for pre-training with this package, not for {type(model).__name__}"
        )
    data = dict(
        inputs=torch.zeros(4, image_channels(model.backbone), *size), data_samples=[None] * 4
    )
    model.to("meta")
    model.data_preprocessor.static_shapes = True
    batches = (model.data_preprocessor(dict(data), True)["inputs"] for _ in range(STEPS))
    counts = count_graphs(model.loss, batches)
    lines = [
        f"torch.compile: {counts.graphs} graphs, {counts.recompiled} recompiled for"
        f" {STEPS - 1} other masks, {sum(counts.breaks.values())} graph breaks"
    ]
    return lines + [f"  {count} x {reason}" for reason, count in counts.breaks.items()]
