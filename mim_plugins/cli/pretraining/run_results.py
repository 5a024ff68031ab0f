"""Files that a pre-training ends with, and the commands that use them."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.dist import is_main_process
from mmengine.runner import Runner
from PIL import Image

from ...analysis import read_run
from ...apis import reconstruct
from ...apis.inputs import central_pipeline
from ...checkpoints import export_backbone
from ...datasets.wrappers import base_datasets
from ...engine.model_wrapper import unwrap_model
from ...engine.resume.checkpoint_files import POINTER, find_resumable
from ...sampling import evenly_spaced
from ...visualization import draw_grid
from ...visualization.panels import panel_caption
from ..commands.names import PROGRAM
from ..curves import chosen_keys, draw
from ..readable_images import readable_images

_PICTURED = 8
CURVE, PICTURE, ENCODER = "curve.png", "reconstruction.png", "encoder.safetensors"


class RunResults(NamedTuple):
    """Files of a finished pre-training; None for one that could not be written."""

    config: Path
    checkpoint: Path | None = None
    encoder: Path | None = None
    curve: Path | None = None
    picture: Path | None = None


def write_results(runner: Runner, config: Path) -> RunResults:
    """Write curve, picture and encoder to the work folder, and print a summary.

    A file that cannot be written is a line of the summary, not an error, because the training is
    done.
    """
    folder = Path(runner.work_dir)
    if not is_main_process():
        return RunResults(config)
    checkpoint = find_resumable(folder, folder / POINTER).path
    encoder, curve, picture = folder / ENCODER, folder / CURVE, folder / PICTURE

    def write_encoder() -> None:
        if checkpoint is None:
            raise FileNotFoundError("there is no checkpoint")
        export_backbone(checkpoint, encoder, overwrite=True)

    writers: dict[Path, Callable[[], Any]] = {
        encoder: write_encoder,
        curve: lambda: _draw_curve(folder, curve),
        picture: lambda: _draw_picture(runner, picture),
    }
    problems = {path: problem for path, write in writers.items() if (problem := _try(write))}
    written = [None if path in problems else path for path in writers]
    results = RunResults(config, checkpoint, *written)
    print(_summary(results, problems, _data_folder(runner)), flush=True)
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


def _data_folder(runner: Runner) -> str:
    dataset: Any = base_datasets(runner.train_dataloader.dataset)[0]
    folder = os.path.normpath(dataset.data_prefix.get("img_path") or dataset.data_root)
    return dataset.ann_file or (folder if os.path.isdir(folder) else dataset.data_root)


def _shown(path: Path) -> Path:
    """Return a shorter form of a path inside the current folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _summary(results: RunResults, problems: dict[Path, str], data: str) -> str:
    named = {name: _shown(path) for name, path in results._asdict().items() if path is not None}
    lines = ["", "Done:", *(f"  {name:<11} {path}" for name, path in named.items())]
    lines += [f"  not written: {_shown(path)} ({problem})" for path, problem in problems.items()]
    if results.checkpoint is None:
        return "\n".join(lines)
    folder, run = named["checkpoint"].parent, [str(named["config"]), str(named["checkpoint"])]
    commands = [
        ["reconstruct", *run, data, "--out", str(folder / "more.png")],
        ["embed", *run, data, "--out", str(folder / "features.npz")],
    ]
    lines += ["", "Next:", *(f"  {PROGRAM} {shlex.join(command)}" for command in commands)]
    if results.encoder is not None:
        finetune = f"finetune DATA --checkpoint {shlex.quote(str(named['encoder']))}"
        lines += ["with labels, as DATA/train/CLASS/IMAGE and DATA/val/CLASS/IMAGE:"]
        lines += [f"  {PROGRAM} {finetune}"]
    return "\n".join(lines)
