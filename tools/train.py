"""Train a model from a config: pre-training or fine-tuning, on one process or many.

Exit codes: 0 trained; 1 error, also if final weights or the state at a signal could not be saved;
85 saved after a signal to stop: start again with --resume; 130 Ctrl-C.
"""

import argparse
import logging
from pathlib import Path

from mmengine.config import Config

import mim_plugins  # noqa: F401  registers everything
from mim_plugins.checks import consistency
from mim_plugins.cli import (
    ConsoleRunner,
    enable_exact_resume,
    global_batch,
    gpu_settings,
    interruptible,
    process_group,
    resolve_precision,
    run_config,
    user_errors,
    work_dir,
)
from mim_plugins.config import outdated_entries
from mim_plugins.engine.guards import guarded_console
from mim_plugins.errors import BUILD_ERRORS


def parse_args() -> argparse.Namespace:
    parser = run_config.build_parser(__doc__)
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        help="continue from the newest complete checkpoint of the work folder, or from this one",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="start over in a work folder with checkpoints, which are removed after the first"
        " iteration; ignored with --resume",
    )
    parser.add_argument("--amp", action="store_true", help="train in mixed precision")
    parser.add_argument("--no-validate", action="store_true", help="skip validation")
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate by the ratio of this run's global batch to the recipe's",
    )
    parser.add_argument(
        "--keep-global-batch",
        action="store_true",
        help="accumulate gradients up to the global batch of the recipe",
    )
    return parser.parse_args()


def prepare_config(args: argparse.Namespace) -> Config:
    """Read the config and apply the options."""
    cfg = run_config.read_config(args)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        cfg.optim_wrapper.type = "AmpOptimWrapper"
    if args.auto_scale_lr:
        global_batch.scale_lr(cfg)
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == "auto" else args.resume
    return cfg


def main() -> None:
    args = parse_args()
    with guarded_console(), user_errors(args.traceback):
        process_group.run_distributed(lambda: train(args))


def train(args: argparse.Namespace) -> None:
    """Claim the work folder, then train in it."""
    cfg = prepare_config(args)
    run_config.check_data_folders(cfg, ("train_dataloader", "val_dataloader"))
    with work_dir.claim(cfg, args.overwrite) as outdated:
        run(cfg, args, outdated)


def run(cfg: Config, args: argparse.Namespace, outdated: list[Path]) -> None:
    """Build the runner, check the config against the data, and train."""
    warnings = [*outdated_entries(cfg), resolve_precision(cfg), run_config.trim_schedule(cfg)]
    notes = [enable_exact_resume(cfg), run_config.use_drop_ins(cfg)]
    if args.keep_global_batch:
        notes.append(global_batch.keep_global_batch(cfg))
    process_group.init_gloo_on_cpu(cfg)
    gpu_settings.use_gpu_settings(cfg)
    with user_errors(args.traceback, BUILD_ERRORS):
        runner = ConsoleRunner.from_cfg(cfg)
        gpu_settings.copy_without_waiting(runner)
        global_batch.scale_lr_with_accumulation(runner)
        run_config.check_batch_size(runner)
        warnings += consistency.check_training(runner)
    if args.keep_global_batch:
        warnings.append(global_batch.accumulation_problem(runner))
    for level, texts in ((logging.INFO, notes), (logging.WARNING, warnings)):
        for text in filter(None, texts):
            runner.logger.log(level, text)
    runner.after_first_iteration(lambda: work_dir.remove_checkpoints(outdated))
    errors = user_errors(args.traceback, BUILD_ERRORS, until=runner.has_begun)
    with errors, interruptible(runner, args.traceback):
        runner.train()


if __name__ == "__main__":
    main()
