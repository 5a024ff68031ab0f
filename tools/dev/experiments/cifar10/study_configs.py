"""Configs of the longer comparison."""

from pathlib import Path
from typing import Any

from experiment import Experiment, encoder_of
from imagenet_weights import MODEL
from mmengine.config import Config
from study_plan import ABLATIONS, CONFIGS, Job, Length, Start

PRECISION = {"optim_wrapper.type": "Bfloat16OptimWrapper"}
_SELF_SEED = 9  # of the teacher without labels; no compared run has it
_CURVE = 4  # checkpoints of a pre-training
_TIMED = dict(type="mim_plugins.TimedCheckpointHook", minutes=3)


class StudyConfigs:
    """Writes the configs of pre-trainings and fine-tunings.

    Args:
        experiment: experiment in whose work folder they are.
        length: data and epochs.
    """

    def __init__(self, experiment: Experiment, length: Length) -> None:
        self.experiment, self.length = experiment, length
        self.work = experiment.work
        self.teacher_start = Start("mae", _SELF_SEED, length.epochs)
        self.imagenet_weights = self.work / "imagenet.pth"

    def checkpoints(self, start: Start) -> list[Path]:
        """Return the checkpoints of a pre-training by epoch; none for random weights."""
        folder = self.work / start.label
        files = folder.glob("epoch_*.pth") if start.epochs else ()
        return sorted(files, key=lambda file: int(file.stem.removeprefix("epoch_")))

    def pretraining(self, start: Start) -> Path:
        """Write the config of a pre-training, which can be resumed at any time."""
        changes = dict(ABLATIONS[start.variant][1]) if start.variant else {}
        method = CONFIGS.get(start.name, start.name)
        changes |= PRECISION | self._teacher(start.name)
        if start.epochs:
            changes["default_hooks.checkpoint"] = dict(
                type="mim_plugins.AtomicCheckpointHook",
                interval=max(start.epochs // _CURVE, 1),
                max_keep_ckpts=-1,
            )
            changes["default_hooks.timed_checkpoint"] = _TIMED
            changes["train_cfg.type"] = "mim_plugins.ResumableEpochLoop"
        epochs = start.epochs or 1
        return self.experiment.config(start.label, method, epochs, start.seed, changes)

    def _teacher(self, name: str) -> dict[str, Any]:
        """Return the changes of the config for the teacher of a start."""
        place = "model.mimics.teacher.target_generator"
        if name == "mrmae_imagenet":
            generator: dict[str, Any] = dict(
                _delete_=True,
                type="mim_plugins.TimmTarget",
                model_name=MODEL,
                pretrained=str(self.imagenet_weights),
                features=3,  # stride 16
                normalize=True,
            )
            return {place: generator}
        if name == "mrmae_self":
            teacher = self.teacher_start
            generator = dict(
                _delete_=True,
                type="mim_plugins.EncoderTarget",
                config=str(self.work / f"{teacher.label}.py"),
                checkpoint=str(self.last_checkpoint(teacher)),
                normalize=True,
            )
            return {place: generator}
        return {}

    def last_checkpoint(self, start: Start) -> Path:
        """Return the checkpoint at the end of a pre-training."""
        return self.work / start.label / f"epoch_{start.epochs}.pth"

    def finetuning(self, job: Job, rate: float) -> Path:
        """Write the config of a fine-tuning that ends when validation stops improving.

        It can be resumed at any time.
        """
        patience = self.length.patience[job.share]
        cfg = self._finetuning(job, rate, self.length.most_epochs[job.share])
        hooks = dict(
            checkpoint=dict(
                type="mim_plugins.AtomicCheckpointHook",
                interval=-1,
                save_best="accuracy/top1",
                rule="greater",
            ),
            early_stopping=dict(
                type="EarlyStoppingHook",
                monitor="accuracy/top1",
                rule="greater",
                patience=2 * patience,
                min_delta=1e-4,  # the same accuracy is no improvement
            ),
        )
        cfg.merge_from_dict({f"default_hooks.{name}": hook for name, hook in hooks.items()})
        cfg.train_cfg.val_interval = self.length.validation_interval[job.share]
        plateau = dict(
            type="ReduceOnPlateauLR",
            monitor="accuracy/top1",
            rule="greater",
            factor=0.1,
            patience=patience - 1,
            threshold=0.0,
            min_value=rate / 10,
        )
        cfg.param_scheduler = [cfg.param_scheduler[0], plateau]
        return self.experiment.write(cfg, job.label)

    def finetuning_of_fixed_length(self, job: Job, rate: float) -> Path:
        """Write the config of a fine-tuning with a cosine, which can be resumed at any time."""
        epochs = self.length.fixed_epochs
        cfg = self._finetuning(job, rate, epochs)
        hook = dict(type="mim_plugins.AtomicCheckpointHook", interval=epochs)
        cfg.merge_from_dict({"default_hooks.checkpoint": hook})
        cfg.train_cfg.val_interval = epochs
        cosine = cfg.param_scheduler[1]
        cosine.begin, cosine.end = cfg.param_scheduler[0].end, epochs
        return self.experiment.write(cfg, job.label)

    def _finetuning(self, job: Job, rate: float, epochs: int) -> Config:
        """Return the config of a fine-tuning without its end."""
        assert job.start is not None
        start, length, share = job.start, self.length, job.share
        backbone, prefix = encoder_of(Config.fromfile(self.pretraining(start)))
        if start.epochs:
            backbone["init_cfg"] = dict(
                type="Pretrained", checkpoint=str(self.last_checkpoint(start)), prefix=prefix
            )
        dims = backbone["arch"]["embed_dims"]
        held_out = dict(
            split="train", start=length.labeled, images=length.validation, augmented=False
        )
        changes: dict[str, Any] = {
            "model.backbone": dict(_delete_=True, **backbone, out_type="avg_featmap"),
            "model.head.in_channels": dims[-1] if isinstance(dims, list) else dims,
            "train_dataloader.dataset.images": length.labeled,
            "train_dataloader.dataset.per_class": (
                length.labeled * share // 1000 if share < 100 else None
            ),
            "train_dataloader.dataset.seed": start.seed,
            "val_dataloader.dataset.data_root": str(self.experiment.arrays),
            **{f"val_dataloader.dataset.{key}": value for key, value in held_out.items()},
            "optim_wrapper.optimizer.lr": rate,
            "optim_wrapper.optimizer.fused": True,
            **PRECISION,
            "val_cfg": dict(fp16=True),  # bfloat16 on a CPU
            "default_hooks.timed_checkpoint": _TIMED,
            "train_cfg.type": "mim_plugins.ResumableEpochLoop",
        }
        cfg = self.experiment.read("finetune")
        cfg.merge_from_dict(changes)
        self.experiment.set_length(cfg, epochs, start.seed)
        cfg.param_scheduler[0].end = length.warm_up[share]
        return cfg
