"""File with the features of images, written by a command."""

import argparse
import importlib
import os
import sys
from typing import Any

import torch
from mmengine.dist import is_main_process

from ..apis import get_model, load
from ..apis.embedding import CORRUPT_SUFFIX, Embeddings, embed
from ..errors import BUILD_ERRORS
from ..wording import counted
from .machine import this_machine
from .process_group import run_distributed
from .progress import show_progress
from .reported_errors import user_errors

_NAMED = 5


def write_features(args: argparse.Namespace) -> None:
    """Compute features as ``mim-plugins embed`` does; errors of users end the program."""
    with user_errors(also=BUILD_ERRORS):
        done, reports = run_distributed(lambda: _embed(args))
    if not reports:
        return
    kinds = ", ".join(f"{kind} {'x'.join(map(str, s))}" for kind, s in done.shapes.items())
    print(f"{counted(done.images, 'image')}, {kinds}: {done.path}")
    if done.corrupt:
        messages = list(done.corrupt.values())
        more = "; ..." if len(messages) > _NAMED else ""
        sys.exit(
            f"error: {counted(len(messages), 'image')} cannot be read (all in"
            f" {done.path}{CORRUPT_SUFFIX}): {'; '.join(messages[:_NAMED])}{more}"
        )


def _embed(args: argparse.Namespace) -> tuple[Embeddings, bool]:
    """Write the file; also return whether this process reports it."""
    device = _join_process_group(args.device)
    if args.checkpoint is None:
        model: Any = load(args.config, device)
    else:
        model = get_model(args.config, args.checkpoint, device, cfg_options=args.cfg_options)
    workers = this_machine().workers if args.workers is None else args.workers
    with show_progress("features") as progress:
        done = embed(
            model, args.images, args.out, args.features, args.batch_size, workers, progress
        )
    return done, is_main_process()


def _join_process_group(device: str) -> str:
    """Join the group if the launcher started several processes, and return the own device."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not torch.distributed.is_initialized():
        # its default arguments would keep a reference to a group that exists before the import
        importlib.import_module("torch.distributed.nn.functional")
        torch.distributed.init_process_group("gloo")  # only names and shapes are exchanged
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if device == "cuda" else device
