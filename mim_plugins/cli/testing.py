"""Evaluation of a checkpoint on the test data of a config."""

import argparse
import os
import re

import mmengine
from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process
from torch import nn

from ..checkpoints import read_tensors, trained_classes
from ..checks import consistency
from ..engine.guards import guarded_console
from ..engine.loops import check_evaluation_sampler
from ..errors import BUILD_ERRORS, CheckpointError, ConfigError
from . import process_group, run_config, work_dir
from .console_runner import ConsoleRunner
from .precision import resolve_precision
from .reported_errors import user_errors


class EvaluationRunner(ConsoleRunner):
    """Runner that needs no other checkpoint than the one to evaluate."""

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """Build the model without ``init_cfg``, because the checkpoint contains every weight."""
        built = super().build_model(model)
        for module in built.modules():
            if getattr(module, "init_cfg", None) is not None:
                module.init_cfg = None
        return built


def use_test_time_augmentation(cfg: Config, name: str) -> None:
    """Wrap the model in the ``tta_model`` of the config, and read the ``tta_pipeline``.

    Raises:
        ConfigError: the config has no ``tta_model`` or ``tta_pipeline``.
    """
    if "tta_model" not in cfg or "tta_pipeline" not in cfg:
        raise ConfigError(f"{name} has no tta_model and tta_pipeline; leave out --tta")
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    # otherwise the preprocessor of the config would override that of the wrapped model
    if "data_preprocessor" in cfg.model:
        cfg.data_preprocessor = cfg.model.data_preprocessor
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)


def require_weights(model: nn.Module, checkpoint: str) -> None:
    """Check that a checkpoint contains every weight; MMEngine would leave the others random.

    Raises:
        CheckpointError: the checkpoint cannot be read or is incomplete.
    """
    names = {re.sub(r"^(module\.)+", "", name) for name in model.state_dict()}
    found = {re.sub(r"^(module\.)+", "", name) for name in read_tensors(checkpoint)}
    missing = sorted(n for n in names - found if not n.startswith("data_preprocessor."))
    if missing:
        raise CheckpointError(
            f"'{checkpoint}' lacks {len(missing)} of the model's {len(names)} tensors, such as"
            f" {', '.join(missing[:3])}: give the checkpoint of a run with this config"
        )


def run_test(args: argparse.Namespace) -> None:
    """Evaluate with the arguments of ``tools/test.py``; errors of users end the program."""
    with guarded_console(), user_errors(args.traceback):
        process_group.run_distributed(lambda: test(prepare_config(args), args))


def prepare_config(args: argparse.Namespace) -> Config:
    """Return the config of the evaluation.

    Raises:
        ConfigError: the config has no test data, or lacks settings that an option needs.
        CheckpointError: the checkpoint does not exist.
    """
    cfg = run_config.read_config(args)
    if cfg.get("test_dataloader") is None:
        raise ConfigError(f"{args.config} has no test data; evaluate with a fine-tuning config")
    if not os.path.isfile(args.checkpoint):
        raise CheckpointError(f"there is no checkpoint '{args.checkpoint}'")
    cfg.load_from = args.checkpoint
    if args.tta:
        use_test_time_augmentation(cfg, args.config)
    return cfg


def test(cfg: Config, args: argparse.Namespace) -> None:
    """Evaluate, and write the metrics to ``args.out``."""
    if work_dir.is_main_process(cfg):
        work_dir.ensure_writable(cfg.work_dir)
    run_config.check_data_folders(cfg, ("test_dataloader",))
    run_config.use_drop_ins(cfg)
    resolve_precision(cfg)
    process_group.init_gloo_on_cpu(cfg)
    with user_errors(args.traceback, BUILD_ERRORS):
        runner = EvaluationRunner.from_cfg(cfg)
        check_evaluation_sampler(runner.test_loop, "test_dataloader")
    require_weights(runner.model, args.checkpoint)
    with user_errors(args.traceback, BUILD_ERRORS):
        warnings = consistency.check_evaluation(runner, trained_classes(args.checkpoint))
    for warning in warnings:
        runner.logger.warning(warning)
    metrics = runner.test()
    if args.out and is_main_process():
        with user_errors(args.traceback, (OSError,)):
            mmengine.mkdir_or_exist(os.path.dirname(os.path.abspath(args.out)))
            mmengine.dump(metrics, args.out)
