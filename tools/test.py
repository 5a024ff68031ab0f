"""Evaluate a checkpoint on the test data of a config."""

import argparse
import os
import sys

import mmengine
from mmengine.config import Config, DictAction
from mmengine.runner import Runner

import mim_plugins  # noqa: F401  registers everything
from mim_plugins.datasets import DataNotFoundError
from mim_plugins.engine import run_config


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="config file")
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("--work-dir", help="folder for the log")
    parser.add_argument("--data-root", help="folder of the data, in place of the config's")
    parser.add_argument("--out", help="write the metrics to this .json or .pkl file")
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


def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    options = dict(args.cfg_options or {})
    run_config.apply_data_root(cfg, args.data_root or options.pop("data_root", None))
    cfg.merge_from_dict(options)
    if cfg.get("test_dataloader") is None:
        sys.exit(f"error: {args.config} has no test data; evaluate with a fine-tuning config")
    if not os.path.isfile(args.checkpoint):
        sys.exit(f"error: there is no checkpoint '{args.checkpoint}'")
    cfg.launcher = args.launcher
    cfg.load_from = args.checkpoint
    # the checkpoint holds every weight; a pre-training checkpoint need not be at hand
    cfg.model.backbone.init_cfg = None
    run_config.set_work_dir(cfg, args.config, args.work_dir)
    try:
        run_config.require_data(cfg, ("test_dataloader",))
        run_config.fit_precision(cfg)
        run_config.use_cpu_processes(cfg)
        metrics = Runner.from_cfg(cfg).test()
    except DataNotFoundError as error:
        sys.exit(f"error: {error}")
    if args.out:
        mmengine.dump(metrics, args.out)


if __name__ == "__main__":
    main()
