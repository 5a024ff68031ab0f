"""Checks of the command line of gpu_cost.py."""

import argparse
import math
from dataclasses import fields, replace

from gpu_model import GPUS, GpuRates

from mim_plugins.algorithms.compilation import SCOPES
from mim_plugins.errors import ConfigError


def check_options(args: argparse.Namespace) -> None:
    """Check the values and combinations of the options.

    Raises:
        ConfigError: one is not allowed.
    """
    unknown = [scope for scope in args.compile if scope not in SCOPES]
    if unknown:
        raise ConfigError(f"--compile {' '.join(unknown)}: use {', '.join(SCOPES)}")
    if args.batch is not None and args.batch < 1:
        raise ConfigError(f"--batch {args.batch} must be at least 1")
    if args.operations < 0:
        raise ConfigError(f"--operations {args.operations} must be at least 0")
    for memory in args.plan or ():
        if not 0 < memory < math.inf:
            raise ConfigError(f"--plan {memory:g} must be a positive number of GB")
    for budget in args.memory_budget:
        if not 0 < budget <= 1:
            raise ConfigError(f"--memory-budget {budget:g} must be above 0 and at most 1")
    if args.plan and (args.compile or args.table):
        raise ConfigError("--plan computes eager steps in a table; leave out --compile and --table")
    if args.operations and (args.plan or args.table):
        raise ConfigError("--operations is not for tables; leave out --plan and --table")
    if min(args.memory_budget) < 1 and not args.compile:
        raise ConfigError("--memory-budget is for compiled steps; add --compile blocks or model")


def chosen_gpus(args: argparse.Namespace) -> dict[str, GpuRates]:
    """Return the rates of the GPUs of the command line.

    Raises:
        ConfigError: a GPU or rate is unknown, or a rate is no positive number.
    """
    unknown = [name for name in args.gpus or () if name not in GPUS]
    if unknown:
        raise ConfigError(f"--gpus {' '.join(unknown)}: use {', '.join(GPUS)}")
    gpus = {name: GPUS[name] for name in args.gpus or GPUS}
    for text in args.rates:
        place, _, value = text.partition("=")
        gpu, _, rate = place.partition(".")
        try:
            number = float(value)
            if not 0 < number < math.inf:
                raise ValueError
            gpus[gpu] = replace(gpus[gpu], **{rate: number})
        except (KeyError, TypeError, ValueError):
            raise ConfigError(
                f"--rates {text}: use GPU.RATE=NUMBER, with a GPU of {', '.join(gpus)}, a rate of"
                f" {', '.join(field.name for field in fields(GpuRates))} and a positive number"
            ) from None
    return gpus
