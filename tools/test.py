"""Evaluate a checkpoint on the test data of a config."""

import os
import sys

import mmengine
from mmengine.config import Config, ConfigDict

import mim_plugins  # noqa: F401  registers everything
from mim_plugins.engine import ConsoleRunner, run_config, user_errors


def use_test_time_augmentation(cfg: Config, name: str) -> None:
    """Wrap the model in the config's ``tta_model``, which reads its ``tta_pipeline``."""
    if "tta_model" not in cfg or "tta_pipeline" not in cfg:
        sys.exit(f"error: {name} has no tta_model and tta_pipeline; leave out --tta")
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    # MMEngine lets the config's preprocessor overrule the one inside the wrapped model
    if "data_preprocessor" in cfg.model:
        cfg.data_preprocessor = cfg.model.data_preprocessor
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)


def main() -> None:
    parser = run_config.command_line(__doc__)
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument(
        "--tta", action="store_true", help="average over the config's scales and flips"
    )
    parser.add_argument("--out", help="write the metrics to this .json or .pkl file")
    args = parser.parse_args()
    with user_errors(args.traceback):
        cfg = run_config.read_config(args)
    if cfg.get("test_dataloader") is None:
        sys.exit(f"error: {args.config} has no test data; evaluate with a fine-tuning config")
    if not os.path.isfile(args.checkpoint):
        sys.exit(f"error: there is no checkpoint '{args.checkpoint}'")
    cfg.load_from = args.checkpoint
    # the checkpoint holds every weight; a pre-training checkpoint need not be at hand
    cfg.model.backbone.init_cfg = None
    if args.tta:
        use_test_time_augmentation(cfg, args.config)
    with user_errors(args.traceback):
        run_config.require_data(cfg, ("test_dataloader",))
        run_config.fit_precision(cfg)
        run_config.use_cpu_processes(cfg)
        with run_config.leaving_process_group():
            metrics = ConsoleRunner.from_cfg(cfg).test()
    if args.out:
        mmengine.dump(metrics, args.out)


if __name__ == "__main__":
    main()
