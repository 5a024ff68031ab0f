"""Execution of the jobs of the longer comparison."""

import json
import math
import shutil
import time
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from compare import METHODS
from experiment import HERE, TRAIN, Experiment, read_logs, read_validations
from imagenet_weights import write_weights
from sizes import Size
from study_configs import PRECISION, StudyConfigs
from study_origin import origin
from study_plan import DECIDING_SHARE, FAMILIES, Job, Length, Start
from study_search import best_rate

from mim_plugins.checkpoints import write_atomically
from mim_plugins.engine.resume.checkpoint_names import INTERRUPTED, TIMED


class Study:
    """Runs jobs and writes a JSON file of each result.

    Args:
        work: work folder, with ``arrays`` in it; an interrupted training continues from it.
        results: folder of the result files.
        length: data and epochs.
        folders: images of other data sets by kind of job.
        seconds: time from now after which no job begins.
    """

    def __init__(
        self,
        work: Path,
        results: Path,
        length: Length,
        folders: Mapping[str, Path],
        seconds: float = math.inf,
    ) -> None:
        self._deadline = time.monotonic() + seconds
        self.results, self.length, self.folders = results, length, folders
        size = Size(
            images=length.images,
            labeled=length.labeled,
            test_images=length.test,
            epochs=length.epochs,
            ablation_epochs=length.epochs,
            finetune={},
            teacher=length.teacher,
        )
        self.experiment = Experiment(work, size)
        self.configs = StudyConfigs(self.experiment, length)
        self.work = work
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)  # a search is part of several jobs

    def result(self, job: Job) -> dict[str, Any] | None:
        """Return the values of a finished job, otherwise None."""
        file = self.results / f"{job.label}.json"
        return json.loads(file.read_text())["values"] if file.exists() else None

    def run(self, job: Job) -> dict[str, Any]:
        """Run a job unless its result exists; return its values.

        A job that another thread runs is waited for.

        Raises:
            TimeoutError: there is no time for another job.
        """
        with self._locks[job.label]:
            known = self.result(job)
            if known is not None:
                return known
            if time.monotonic() >= self._deadline:
                raise TimeoutError(f"no time is left for {job.label}")
            return self._run(job)

    def _run(self, job: Job) -> dict[str, Any]:
        begin, of_result = time.monotonic(), origin()
        if job.start:
            self._provide_weights(job.start, is_pretrained=job.kind != "pretrain")
        values = getattr(self, f"_{job.kind}")(job)
        seconds = round(time.monotonic() - begin, 1)
        seed = job.start.seed if job.start else 0
        content = dict(job=job.label, values=values, seed=seed, seconds=seconds, **of_result)
        self.results.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, indent=1, sort_keys=True) + "\n"
        file = self.results / f"{job.label}.json"
        write_atomically(file, lambda partial: partial.write_text(text))
        return values

    def equal_time(self) -> dict[str, int]:
        """Return the epochs of SimMIM and MAE at equal time, empty before ``calibrate`` has run.

        MAE gets the seconds of MR-MAE and of its teacher, which is an MAE of the same length.
        """
        seconds = self.result(Job("calibrate"))
        if seconds is None:
            return {}
        budgets = dict(simmim=seconds["mixmae"], mae=seconds["mrmae"] + seconds["mae"])
        return {
            name: round(self.length.epochs * budget / seconds[name])
            for name, budget in budgets.items()
        }

    def _calibrate(self, job: Job) -> dict[str, float]:
        """Return the seconds per epoch of each method."""
        self.experiment.teacher_features()
        configs = self._method_configs()
        measured = self.experiment.calibrate(configs)
        return {method: measured[config.stem] for method, config in configs.items()}

    def _cost(self, job: Job) -> dict[str, Any]:
        """Return the MFLOP per image of each method, in total and of the encoder."""
        configs, result = self._method_configs(), self.work / "cost.json"
        self.experiment.run("cost", HERE / "cost.py", result, *configs.values())
        counted = json.loads(result.read_text())
        return {method: counted[config.stem] for method, config in configs.items()}

    def _teacher_quality(self, job: Job) -> dict[str, Any]:
        """Return accuracies of each teacher's features, and seconds per epoch of its student."""
        names = [name for name in FAMILIES["vit"] if name.startswith("mrmae")]
        configs = {
            name: self.configs.pretraining(Start(name, 0, self.length.epochs)) for name in names
        }
        result = self.work / "teacher_seconds.json"
        script, steps = HERE / "calibrate.py", ("--steps", 10)
        self.experiment.run("teacher_seconds", script, result, *configs.values(), *steps)
        seconds = json.loads(result.read_text())
        return {
            name: self.experiment.probe(f"teacher_of_{name}", "--teacher-of", config)["0"]
            | dict(seconds=seconds[config.stem])
            for name, config in configs.items()
        }

    def _method_configs(self) -> dict[str, Path]:
        return {
            method: self.experiment.config(f"calibrate_{method}", method, 1, 0, PRECISION)
            for method in METHODS
        }

    def _teachers(self, job: Job) -> dict[str, Any]:
        """Make the teachers; return the accuracies of the one with labels."""
        labeled = self.experiment.teacher_features()
        write_weights(self.configs.imagenet_weights)
        taken = self._train_encoder(self.configs.teacher_start)
        return dict(labels=labeled, self_supervised=taken)

    def _provide_weights(self, start: Start, is_pretrained: bool) -> None:
        """Make the weights that a job of ``start`` reads, if the work folder lacks them.

        This is the case if only the result files of earlier jobs exist.
        """
        last = self.configs.last_checkpoint
        with self._locks["teachers"]:
            teacher = last(self.configs.teacher_start)
            files = (self.experiment.weights, self.configs.imagenet_weights, teacher)
            if start.name.startswith("mrmae") and not all(file.is_file() for file in files):
                self._teachers(Job("teachers"))
        if is_pretrained and start.epochs and not last(start).is_file():
            self._train_encoder(start)

    def _pretrain(self, job: Job) -> dict[str, Any]:
        """Pre-train an encoder, if it is not random, and evaluate it along the way."""
        assert job.start is not None
        start = job.start
        taken = self._train_encoder(start) if start.epochs else {}
        config, files = self.configs.pretraining(start), self.configs.checkpoints(start)
        options: list[Any] = ["--config", config, "--seed", start.seed]
        options += ["--checkpoints", *files] if files else []
        curve = self.experiment.probe(start.label, *options)
        losses = read_logs(self.work / start.label) if start.epochs else {}
        last = {name: values[-1] for name, values in losses.items() if "loss" in name}
        return dict(taken=taken, curve=curve, losses=last)

    def _finetune(self, job: Job) -> dict[str, Any]:
        """Fine-tune until validation stops improving; return validation and test accuracy."""
        assert job.start is not None
        rate = job.rate or self._best_rate(job.start)
        searched = self.result(Job("finetune", job.start, job.share, rate))
        if not job.rate and searched:
            return searched
        folder = self.work / job.label
        config = self.configs.finetuning(job, rate)
        taken = self._train(job.label, config)
        (best,) = folder.glob("best_*.pth")
        validation = read_validations(folder)
        return self._score(job, config, best) | dict(
            rate=rate,
            validation=max(validation.values()),
            best_epoch=max(validation, key=validation.__getitem__),
            last_epoch=max(validation),
            taken=taken,
        )

    def _cosine(self, job: Job) -> dict[str, Any]:
        """Fine-tune for a fixed number of epochs; return the test accuracy at the end."""
        assert job.start is not None
        rate = self._best_rate(job.start)
        config = self.configs.finetuning_of_fixed_length(job, rate)
        taken = self._train(job.label, config)
        last = f"{job.label}/epoch_{self.length.fixed_epochs}.pth"
        return self._score(job, config, self.work / last) | dict(rate=rate, taken=taken)

    def _score(self, job: Job, config: Path, checkpoint: Path) -> dict[str, Any]:
        result = self.work / f"{job.label}_score.json"
        arguments = (self.experiment.arrays, result, config, checkpoint, "--images")
        self.experiment.run(result.stem, HERE / "score.py", *arguments, self.length.test)
        return json.loads(result.read_text())

    def _transfer(self, job: Job) -> dict[str, Any]:
        """Evaluate the frozen encoder by k-NN on other images."""
        return self._use_encoder(job, "transfer.py", "--imagenet", self.folders["transfer"])

    def _detect(self, job: Job) -> dict[str, Any]:
        """Train a detector on a few COCO images; return its AP by iteration."""
        places = ("--coco", self.folders["detect"], "--work-dir", self.work / job.label)
        return self._use_encoder(job, "detect.py", *places, "--iterations", self.length.detection)

    def _use_encoder(self, job: Job, script: str, *options: Any) -> dict[str, Any]:
        assert job.start is not None
        start, result = job.start, self.work / f"{job.label}.json"
        weights = ("--checkpoint", self.configs.last_checkpoint(start)) if start.epochs else ()
        seed = ("--seed", start.seed)
        arguments = (result, self.configs.pretraining(start), *seed, *weights, *options)
        self.experiment.run(job.label, HERE / script, *arguments)
        return json.loads(result.read_text())

    def _train_encoder(self, start: Start) -> dict[str, float]:
        with self._locks[start.label]:  # jobs of other seeds may need it at the same time
            return self._train(start.label, self.configs.pretraining(start))

    def _train(self, name: str, config: Path) -> dict[str, float]:
        """Train, or continue an interrupted training; return the seconds."""
        folder = self.work / name
        is_done = (self.work / f"{name}.done").exists()
        if not is_done and not any((folder / file).exists() for file in (INTERRUPTED, *TIMED)):
            shutil.rmtree(folder, ignore_errors=True)  # files of an attempt that cannot be resumed
        return self.experiment.run(name, TRAIN, config, "--work-dir", folder, "--resume")

    def _best_rate(self, start: Start) -> float:
        """Return the learning rate that is best at seed 0 and equal epochs."""
        first = Start(start.name, 0, self.length.epochs if start.epochs else 0)
        job = partial(Job, "finetune", first, DECIDING_SHARE)
        return best_rate(lambda rate: self.run(job(rate))["validation"])
