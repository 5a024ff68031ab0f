"""Files that a run ends with, and the commands that use them."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.dist import is_main_process
from mmengine.runner import Runner
from PIL import Image
from torch.utils.data import DataLoader

from ...algorithms import PretrainingModel
from ...analysis import read_run
from ...apis import reconstruct
from ...apis.export import export_encoder
from ...apis.inputs import central_pipeline
from ...datasets.wrappers import base_datasets
from ...engine.model_wrapper import unwrap_model
from ...engine.resume.run_checkpoints import last_of_training
from ...sampling import evenly_spaced
from ...visualization import draw_grid
from ...visualization.panels import panel_caption
from ..commands.names import PROGRAM
from ..curves import chosen_keys, draw
from ..readable_images import readable_images

_PICTURED = 8
CURVE, PICTURE, ENCODER = "curve.png", "reconstruction.png", "encoder.safetensors"


class RunResults(NamedTuple):
    """Files of a finished run; None for one that could not be written.

    Only pre-training has an encoder file and a picture.
    """

    config: Path
    checkpoint: Path | None = None
    encoder: Path | None = None
    curve: Path | None = None
    picture: Path | None = None


def write_results(runner: Runner, config: Path) -> RunResults:
    """Write the files of the run to the work folder, and print a summary.

    Pre-training ends with an encoder, a curve and a picture, other runs with a curve. A file that
    cannot be written is a line of the summary, not an error, because the training is done.
    """
    folder = Path(runner.work_dir)
    if not is_main_process():
        return RunResults(config)
    checkpoint = last_of_training(runner)
    encoder, curve, picture = folder / ENCODER, folder / CURVE, folder / PICTURE

    def write_encoder() -> None:
        if checkpoint is None:
            raise FileNotFoundError("there is no checkpoint")
        export_encoder(checkpoint, encoder, overwrite=True)

    writers: dict[Path, Callable[[], Any]] = {curve: lambda: _draw_curve(folder, curve)}
    is_pretraining = isinstance(unwrap_model(runner.model), PretrainingModel)
    if is_pretraining:
        writers |= {encoder: write_encoder, picture: lambda: _draw_picture(runner, picture)}
    problems = {path: problem for path, write in writers.items() if (problem := _try(write))}
    written = writers.keys() - problems
    files = (path if path in written else None for path in (encoder, curve, picture))
    results = RunResults(config, checkpoint, *files)
    next_commands = _next_of_pretraining if is_pretraining else _next_of_finetuning
    print(_summary(results, problems, next_commands(runner, results)), flush=True)
    return results


def _try(write: Callable[[], Any]) -> str:
    try:
        write()
    except Exception as error:  # a full disk, a missing font: the training itself is saved
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return ""


def _draw_curve(folder: Path, path: Path) -> None:
    curves = {folder.name: read_run(folder)}
    draw(curves, chosen_keys(curves)).savefig(path, dpi=100)


def _draw_picture(runner: Runner, path: Path) -> None:
    dataset = runner.train_dataloader.dataset
    indices = evenly_spaced(len(dataset), _PICTURED)
    model = unwrap_model(runner.model)
    model._config = runner.cfg  # names the loading transform
    paths = [dataset.get_data_info(index)["img_path"] for index in indices]
    images, _ = readable_images(paths, central_pipeline(model).loader)
    panels = reconstruct(model, images)
    Image.fromarray(draw_grid(panels, panel_caption(panels))).save(path)


def _data_folder(loader: DataLoader) -> str:
    """Return the file or folder of the images, a placeholder for data sets of other libraries."""
    dataset: Any = base_datasets(loader.dataset)[0]
    prefix = getattr(dataset, "data_prefix", None) or {}
    root = getattr(dataset, "data_root", None) or ""
    folder = os.path.normpath(prefix.get("img_path") or root) if prefix or root else ""
    listed = getattr(dataset, "ann_file", "")
    if not os.path.isdir(folder):
        return listed or root or "IMAGES"
    around = os.path.dirname(listed) or os.curdir  # where commands look for the images of a list
    return listed if listed and os.path.realpath(around) == os.path.realpath(folder) else folder


def _shown(path: Path) -> Path:
    """Return a shorter form of a path inside the current folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _next_of_pretraining(runner: Runner, results: RunResults) -> list[str]:
    folder, run = _shown(Path(runner.work_dir)), _run(results)
    data = _data_folder(runner.train_dataloader)
    encoder = [str(_shown(results.encoder))] if results.encoder else run
    lines = [
        _command("reconstruct", *run, data, "--out", str(folder / "more.png")),
        _command("embed", *encoder, data, "--out", str(folder / "features.npz")),
    ]
    if results.encoder is not None:
        finetune = f"finetune DATA --checkpoint {shlex.quote(str(_shown(results.encoder)))}"
        lines += ["with labels, as DATA/train/CLASS/IMAGE and DATA/val/CLASS/IMAGE:"]
        lines += [f"  {PROGRAM} {finetune}"]
    return lines


def _next_of_finetuning(runner: Runner, results: RunResults) -> list[str]:
    if runner.val_loop is None:
        return []
    data = _data_folder(runner.val_dataloader)
    return [_command("predict", *_run(results), data)]


def _run(results: RunResults) -> list[str]:
    """Return config and checkpoint as arguments of a command."""
    return [str(_shown(path)) for path in results[:2] if path is not None]


def _command(*words: str) -> str:
    return f"  {PROGRAM} {shlex.join(words)}"


def _summary(results: RunResults, problems: dict[Path, str], commands: list[str]) -> str:
    named = {name: _shown(path) for name, path in results._asdict().items() if path is not None}
    lines = ["", "Done:", *(f"  {name:<11} {path}" for name, path in named.items())]
    lines += [f"  not written: {_shown(path)} ({problem})" for path, problem in problems.items()]
    if results.checkpoint is not None and commands:
        lines += ["", "Next:", *commands]
    return "\n".join(lines)
