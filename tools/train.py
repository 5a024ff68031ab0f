"""Train a model from a config: pre-training and fine-tuning, one process or many."""

import argparse
import os
import sys

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

import mim_plugins  # noqa: F401  registers everything
from mim_plugins.datasets import DataNotFoundError
from mim_plugins.engine import run_config


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="config file")
    parser.add_argument("--work-dir", help="folder for logs and checkpoints")
    parser.add_argument("--data-root", help="folder of the data, in place of the config's")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        help="go on from the newest checkpoint of the work folder, or from the one given",
    )
    parser.add_argument("--amp", action="store_true", help="train in mixed precision")
    parser.add_argument("--no-validate", action="store_true", help="do not evaluate")
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate by the ratio of this run's global batch to the recipe's",
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        help="override entries of the config, as key=value; lists as key='[a,b]'",
    )
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0)
    args = parser.parse_args()
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    return args


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Put the command line's choices into the config."""
    options = dict(args.cfg_options or {})
    run_config.apply_data_root(cfg, args.data_root or options.pop("data_root", None))
    cfg.merge_from_dict(options)
    cfg.launcher = args.launcher
    run_config.set_work_dir(cfg, args.config, args.work_dir)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        cfg.optim_wrapper.type = "AmpOptimWrapper"
    if args.auto_scale_lr:
        cfg.auto_scale_lr.enable = True
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == "auto" else args.resume
    return cfg


def main() -> None:
    args = parse_args()
    try:
        cfg = merge_args(Config.fromfile(args.config), args)
        run_config.require_data(cfg, ("train_dataloader", "val_dataloader"))
        changes = (run_config.fit_precision(cfg), run_config.fit_schedule(cfg))
        run_config.use_cpu_processes(cfg)
        runner = Runner.from_cfg(cfg)
        for change in filter(None, changes):
            runner.logger.warning(change)
        run_config.require_steps(runner)
        runner.train()
    except DataNotFoundError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
