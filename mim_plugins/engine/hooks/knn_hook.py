"""Hook that evaluates the features of pre-training: k-NN, linear probe and RankMe."""

import itertools
from typing import Any

from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ...apis.inputs import input_channels
from ...data_preprocessors import check_file_colors
from ...datasets.pipelines import check_not_normalized
from ...datasets.wrappers import base_dataset_configs, base_datasets, loading_bands
from ...errors import ConfigError, CorruptImageError, NonFiniteFeaturesError
from ...evaluation.features import PRECISIONS, check_features, extract_features
from ...evaluation.knn import check_neighbors, knn_accuracy
from ...evaluation.knn_loaders import build_knn_loaders
from ...evaluation.labeled_features import LabeledFeatures
from ...evaluation.linear_probe import linear_probe_accuracy
from ...evaluation.rankme import rankme
from ...file_names import printable
from ...randomness import preserved_random_state
from ...registry import HOOKS
from ..loops.worker_signals import defer_worker_signals
from ..model_wrapper import unwrap_model
from .interval_hook import IntervalHook
from .progress_hook import ProgressHook
from .stall_watchdog_hook import StallWatchdogHook


@HOOKS.register_module()
class KNNHook(IntervalHook):
    """Log the quality of the backbone's pooled features every ``interval`` epochs.

    The features are computed once for all measures: the k-NN accuracies ``knn_top1`` and
    ``knn_top5``, those of a linear probe, ``probe_top1`` and ``probe_top5``, in percent, and the
    effective rank of the references, ``rankme``. They are logged to the console, to the scalars of
    every visualization backend (JSON log, TensorBoard, WandB; with the iteration as step) and to
    the message hub.

    Complete images are normalized by the run's data preprocessor, without mixing or masking. The
    training itself stays bit-identical: random generators and module modes are restored, and the
    probe has copies of the features. It is trained anew in each evaluation and has no state, so
    evaluations of a resumed run equal those of an uninterrupted one.

    In a distributed run the images are divided among the processes. The checkpoint of the same
    epoch or iteration is saved before the evaluation and survives if the evaluation fails. Its
    message hub therefore lacks this result. Corrupt images are skipped and logged. If too few
    images remain, or features are not finite, the evaluation is skipped with a warning.

    Args:
        references: config of the labeled data set that contains the neighbors. Defaults to a
            :class:`LabeledImageFolder` of class folders with ``data_prefix='train'``, the
            ``data_root`` of the training set and a center crop of the backbone's image size, in
            gray for one input channel. A training set of several folders requires an explicit
            config.
        queries: config of the labeled data set to classify; same default, with ``'val'``.
        interval: epochs (or iterations) between evaluations.
        by_epoch: whether ``interval`` counts epochs or iterations.
        k: number of neighbors.
        temperature: temperature of the weights of the neighbors.
        max_references: number of references to use, evenly spaced; None for all.
        max_queries: number of queries to use, evenly spaced; None for all.
        batch_size: images per process.
        num_workers: loader workers, which end after each evaluation.
        precision: data type of the forward pass: ``'float32'``, ``'bfloat16'`` or ``'float16'``.
        probe: train the linear probe, see :func:`linear_probe_accuracy`.

    Raises:
        ValueError: a number is below 1, or ``precision`` is unknown. Before the first iteration:
            the model has no backbone, a data set has no labels, the two data sets have different
            classes, there are fewer than ``k`` references, images do not pass through the
            backbone, or the training set has several folders and no config is given.
        DataNotFoundError: before the first iteration, if the data do not exist.
        CorruptImageError: before the first iteration, if no image of a data set can be read.
        ConfigError: before the first iteration, if the training pipeline normalizes images, or
            files would be read in another order of colors, see :func:`check_file_colors`.
    """

    priority = 95  # after the checkpoint hook, before PreemptionHook ends a run

    def __init__(
        self,
        references: dict | None = None,
        queries: dict | None = None,
        interval: int = 10,
        by_epoch: bool = True,
        k: int = 20,
        temperature: float = 0.07,
        max_references: int | None = 100_000,
        max_queries: int | None = None,
        batch_size: int = 128,
        num_workers: int = 4,
        precision: str = "float32",
        probe: bool = True,
    ) -> None:
        super().__init__(interval, by_epoch)
        if precision not in PRECISIONS:
            raise ValueError(f"KNNHook: precision={precision!r} must be one of {list(PRECISIONS)}")
        # the upper limit of k follows from the data
        check_neighbors((k,), max_references or k, temperature)
        self.references = None if references is None else dict(references)
        self.queries = None if queries is None else dict(queries)
        self.k = k
        self.temperature = temperature
        self.limits = (max_references, max_queries)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.dtype = PRECISIONS[precision]
        self.probe = probe
        self._loaders: tuple[DataLoader, ...] = ()

    def before_train(self, runner: Runner) -> None:
        """Build both data sets and try an image of each, which reports errors before training."""
        model = unwrap_model(runner.model)
        if getattr(model, "backbone", None) is None:
            raise ValueError(f"KNNHook: {type(model).__name__} has no backbone to evaluate")
        check_not_normalized(runner.train_dataloader.dataset, "train_dataloader")
        datasets = _complete_datasets(runner, self.references, self.queries)
        if any("pipeline" not in part for each in datasets for part in base_dataset_configs(each)):
            training = runner.train_dataloader.dataset
            check_file_colors(model.backbone, model.data_preprocessor, training, "KNNHook")
        img_size = getattr(model.backbone, "img_size", 224)
        with preserved_random_state():
            self._loaders = build_knn_loaders(
                datasets,
                img_size,
                self.batch_size,
                self.num_workers,
                self.limits,
                loading_bands((runner.cfg.get("train_dataloader") or {}).get("dataset")),
                input_channels(model.backbone),
            )
            for name, loader in zip(("references", "queries"), self._loaders, strict=True):
                try:
                    check_features(model.backbone, model.data_preprocessor, loader, self.dtype)
                except ConfigError as error:
                    raise ConfigError(f"KNNHook: {name}: {error}") from error
        defer_worker_signals(*self._loaders)
        check_neighbors((self.k,), _size(self._loaders[0]), self.temperature)

    def act(self, runner: Runner, step: int) -> None:
        """Compute the accuracy and log it."""
        model = unwrap_model(runner.model)
        batches = itertools.count()  # across both data sets: a progress that never decreases
        total = sum(map(len, self._loaders))

        def report_progress(*_: int) -> None:
            done = next(batches)
            for hook in runner.hooks:
                if isinstance(hook, StallWatchdogHook):
                    hook.heartbeat(done)
                elif isinstance(hook, ProgressHook):
                    hook.show_evaluation("k-NN", done, total)

        report_progress()
        try:
            with preserved_random_state():
                references, queries = (
                    extract_features(
                        model.backbone, model.data_preprocessor, loader, self.dtype, report_progress
                    )
                    for loader in self._loaders
                )
        except (CorruptImageError, NonFiniteFeaturesError) as error:  # raised on all processes
            runner.logger.warning(f"k-NN evaluation skipped: {error.summary}")
            return
        if len(references.labels) < self.k or not len(queries.labels):
            runner.logger.warning(
                f"k-NN evaluation skipped: {len(references.labels)} references and"
                f" {len(queries.labels)} queries are readable, but k={self.k} needs {self.k}"
                " references and at least one query"
            )
            return
        self._log(runner, step, references, queries)

    def _log(
        self, runner: Runner, step: int, references: LabeledFeatures, queries: LabeledFeatures
    ) -> None:
        """Compute the measures and log them."""
        device = next(unwrap_model(runner.model).backbone.parameters()).device
        references, queries = references.to(device), queries.to(device)
        accuracy = knn_accuracy(references, queries, (self.k,), self.temperature)[self.k]
        scalars: dict[str, Any] = dict(knn_top1=accuracy.top1, knn_top5=accuracy.top5)
        if self.probe:
            names = ("probe_top1", "probe_top5")
            scalars |= zip(names, linear_probe_accuracy(references, queries), strict=True)
        scalars["rankme"] = rankme(references.features)
        epoch = runner.epoch + 1  # the runner counts complete epochs only
        runner.logger.info(
            f"k-NN after epoch {epoch}, iteration {step}: "
            + ", ".join(f"{name} {value:.2f}" for name, value in scalars.items())
            + f" (k={self.k}, {len(references.labels)} references, {len(queries.labels)} queries)"
        )
        for name, value in scalars.items():
            runner.message_hub.update_scalar(f"knn/{name}", value)
        runner.visualizer.add_scalars(
            scalars | dict(epoch=epoch), step=step, file_path=f"{runner.timestamp}.json"
        )


def _complete_datasets(
    runner: Runner, references: dict | None, queries: dict | None
) -> tuple[dict, dict]:
    """Return both configs, completed with the folder of the training data."""
    roots = {
        str(root)
        for dataset in base_datasets(runner.train_dataloader.dataset, with_metainfo=False)
        if (root := getattr(dataset, "data_root", None))
    }
    default = dict(data_root=roots.pop()) if len(roots) == 1 else {}
    if not default and (references is None or queries is None):
        found = f"several ({', '.join(map(printable, sorted(roots)))})" if roots else "none"
        raise ConfigError(
            "KNNHook: the default folders of the labeled images need a single data_root of the"
            f" training data, but there are {found}: set references=dict(data_root='FOLDER',"
            " data_prefix='train') and queries=dict(data_root='FOLDER', data_prefix='val')"
        )
    references = dict(data_prefix="train") if references is None else references
    queries = dict(data_prefix="val") if queries is None else queries
    return _with_root(references, default), _with_root(queries, default)


def _with_root(dataset: dict, default: dict) -> dict:
    is_wrapper = "dataset" in dataset or "datasets" in dataset
    return dataset if is_wrapper else default | dataset


def _size(loader: DataLoader) -> int:
    return len(loader.dataset)  # type: ignore[arg-type]
