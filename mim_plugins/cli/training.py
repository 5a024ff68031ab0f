"""Training of the model of a config, on one process or many."""

import argparse
import copy
import logging
import os
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from ..checks import consistency
from ..config import unread_entries
from ..data_preprocessors import copy_without_waiting
from ..engine.guards import guarded_console
from ..engine.loops import check_batch_size
from ..engine.model_wrapper import unwrap_model
from ..errors import BUILD_ERRORS, ConfigError
from . import global_batch, gpu_settings, process_group, restart, run_config, work_dir
from .console_runner import ConsoleRunner
from .interruption import interruptible
from .precision import resolve_precision
from .reported_errors import user_errors
from .resumable_parts import enable_exact_resume
from .run_arguments import add_train_arguments
from .setting_flags import apply_flags


def train_arguments(
    config: Path, work_dir: Path, overwrite: bool = False, resume: bool = False
) -> argparse.Namespace:
    """Return the arguments of ``tools/train.py`` for a run."""
    parser = argparse.ArgumentParser()
    add_train_arguments(parser)
    flags = [name for name, on in (("--overwrite", overwrite), ("--resume", resume)) if on]
    return parser.parse_args([f"--work-dir={work_dir}", *flags, "--", str(config)])


def prepare_config(args: argparse.Namespace) -> Config:
    """Read the config and apply the options."""
    cfg = run_config.read_config(args)
    for line in apply_flags(cfg, args):
        if os.environ.get("RANK", "0") == "0":
            print(line, flush=True)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    _require_entries(cfg, args)
    if args.amp:
        cfg.optim_wrapper.type = "AmpOptimWrapper"
    if args.auto_scale_lr:
        global_batch.scale_lr(cfg)
    if args.resume == "auto":
        restart.resume_newest(cfg)
    elif args.resume is not None:
        cfg.resume, cfg.load_from = True, args.resume
    return cfg


def _require_entries(cfg: Config, args: argparse.Namespace) -> None:
    """Check that the config has the entries that flags change."""
    flags = {"--amp": args.amp, "--keep-global-batch": args.keep_global_batch}
    for flag in (flag for flag, is_given in flags.items() if is_given):
        for name in ("optim_wrapper", "train_cfg"):
            if not isinstance(cfg.get(name), dict):
                raise ConfigError(
                    f"{flag}: {name}={cfg.get(name)!r} must be a dict in the config; add it"
                )


def run_training(args: argparse.Namespace) -> None:
    """Train with the arguments of :func:`add_train_arguments`; errors of users end the program."""
    with guarded_console(), user_errors(args.traceback):
        process_group.run_distributed(lambda: train(args))


def train(args: argparse.Namespace) -> Runner:
    """Claim the work folder, train in it, and return the runner."""
    cfg = prepare_config(args)
    is_restarted = restart.resume_if_restarted(cfg)
    run_config.check_data_folders(cfg, ("train_dataloader", "val_dataloader"))
    overwrite = args.overwrite and not is_restarted
    with work_dir.claim(cfg, overwrite, is_restarted) as outdated:
        return run(cfg, args, outdated, is_restarted)


def run(cfg: Config, args: argparse.Namespace, outdated: list[Path], is_restarted: bool) -> Runner:
    """Build the runner, check the config against the data, and train."""
    warnings: list[str | None] = [*unread_entries(cfg)]
    notes = [enable_exact_resume(cfg), run_config.use_drop_ins(cfg)]
    if is_restarted:
        warnings.append(restart.keep_global_batch(cfg))
    elif args.keep_global_batch:
        notes.append(global_batch.keep_global_batch(cfg))
    # the rest holds for this machine and this length only, but the run may continue with others
    portable = copy.deepcopy(cfg)
    warnings += [resolve_precision(cfg), run_config.trim_schedule(cfg)]
    process_group.init_gloo_on_cpu(cfg)
    gpu_settings.use_gpu_settings(cfg)
    with user_errors(args.traceback, BUILD_ERRORS):
        runner = ConsoleRunner.from_cfg(cfg)
        runner.write_config(portable)
        copy_without_waiting(getattr(unwrap_model(runner.model), "data_preprocessor", None))
        global_batch.scale_lr_with_accumulation(runner)
        check_batch_size(runner.train_dataloader)
        warnings += consistency.check_training(runner)
    if args.keep_global_batch or is_restarted:
        warnings.append(global_batch.accumulation_problem(runner))
    warnings.append(global_batch.inexact_checkpoints(runner))
    for level, texts in ((logging.INFO, notes), (logging.WARNING, warnings)):
        for text in filter(None, texts):
            runner.logger.log(level, text)
    runner.after_first_iteration(lambda: work_dir.remove_checkpoints(outdated, cfg.work_dir))
    restart.report_restarts(runner)
    errors = user_errors(args.traceback, BUILD_ERRORS, until=runner.has_begun)
    with errors, interruptible(runner, args.traceback):
        runner.train()
    return runner
