"""Check this machine, its packages, and what a config needs; say what to fix and how.

Prints a line per check, OK, WARN or FAIL. Exit status 1: at least one FAIL. Runs whatever is
missing or broken.
"""

import argparse
import importlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

OK, WARN, FAIL = "OK", "WARN", "FAIL"
PYTHON = (3, 10)
# minor version of torch to that of its torchvision: 2.6 with 0.21, and one more with each
TORCHVISION_OFFSET = 15
# what must be there, and what some recipes need: lowest version, first version that is too new
REQUIRED = {
    "mmengine": ("0.10.7", "0.11"),
    "mmpretrain": ("1.2.0", "1.3"),
    "numpy": ("1.24", None),
}
OPTIONAL = {
    "mmdet": ("3.3.0", "3.4", "detection", "pip install -e '.[det]'"),
    "mmsegmentation": ("1.2.2", "1.3", "segmentation", "pip install -e '.[seg]'"),
    "open_clip_torch": ("3.3.0", "4", "CLIP teachers", "pip install -e '.[targets]'"),
    "timm": ("1.0.31", "2", "DINO teachers", "pip install -e '.[targets]'"),
}
MMCV = ("2.0.0", "2.2.0")
# forks under the same import names: distribution, lowest version, first version that is too new
FORKS = {
    "mmcv": ("onedl-mmcv", "2.3.6", "2.4"),
    "mmengine": ("onedl-mmengine", "0.10.12", "0.11"),
    "mmpretrain": ("onedl-mmpretrain", "1.3.6", "1.4"),
    "mmdet": ("onedl-mmdetection", "3.5.1", "3.6"),
    "mmsegmentation": ("onedl-mmsegmentation", "1.4.2", "1.5"),
}
GIB = 2**30
LEAST_DISK, LEAST_SHM = 20 * GIB, 2 * GIB


class Result(NamedTuple):
    """What a check found."""

    level: str
    text: str


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", help="also check what this config needs")
    parser.add_argument("--data-root", help="folder of the data, in place of the config's")
    parser.add_argument(
        "--cfg-options", nargs="+", default=[], metavar="KEY=VALUE", help="as for train.py"
    )
    parser.add_argument("--work-dir", default="work_dirs", help="where checkpoints will go")
    args = parser.parse_args()
    failed = False
    for result in run_checks(args):
        print(f"{result.level:<4}  {result.text}", flush=True)
        failed |= result.level == FAIL
    sys.exit(1 if failed else 0)


def run_checks(args: argparse.Namespace) -> Iterator[Result]:
    """All results; a check that breaks is one as well."""
    checks: list[Callable[[], Iterator[Result]]] = [
        check_python,
        check_torch,
        check_mmcv,
        check_packages,
        check_gpu,
        check_threads,
        check_shared_memory,
        lambda: check_disk(args.work_dir),
    ]
    if args.config:
        checks.append(lambda: check_config(args.config, args.data_root, args.cfg_options))
    elif args.data_root:
        checks.append(lambda: check_folder(args.data_root))
    for check in checks:
        try:
            yield from check()
        except Exception as error:  # broken installations raise anything
            yield Result(FAIL, f"a check broke: {type(error).__name__}: {first_line(error)}")


def check_python() -> Iterator[Result]:
    version = sys.version_info
    level = OK if version[:2] >= PYTHON else FAIL
    fix = "" if level == OK else f"; needs {PYTHON[0]}.{PYTHON[1]} or newer: install another one"
    yield Result(level, f"python {version[0]}.{version[1]}.{version[2]}{fix}")


def check_torch() -> Iterator[Result]:
    torch, vision = installed("torch"), installed("torchvision")
    if torch is None or numbers(torch) < (2, 6):
        yield Result(
            FAIL, f"torch {torch or 'is missing'}: pip install torch==2.11.0 torchvision==0.26.0"
        )
        return
    wanted = f"0.{numbers(torch)[1] + TORCHVISION_OFFSET}"
    if vision is None or numbers(vision)[:2] != numbers(wanted)[:2]:
        yield Result(
            FAIL,
            f"torch {torch} goes with torchvision {wanted}.*, but there is"
            f" {vision or 'none'}: pip install 'torchvision=={wanted}.*'",
        )
        return
    broken = import_error("torchvision")
    if broken:
        yield Result(FAIL, f"torch {torch}, torchvision {vision} do not import: {broken}")
    else:
        yield Result(OK, f"torch {torch} with torchvision {vision}")


def check_mmcv() -> Iterator[Result]:
    if has_fork("mmcv"):
        yield check_fork("mmcv", ["mmcv", "mmcv-lite"])
        broken = import_error("mmcv.ops")
        if broken:
            yield Result(WARN, f"{FORKS['mmcv'][0]} has no compiled operators ({broken})")
        return
    full, lite = installed("mmcv"), installed("mmcv-lite")
    version = full or lite
    if full and lite:
        yield Result(
            FAIL,
            "mmcv and mmcv-lite overwrite each other: pip uninstall -y mmcv mmcv-lite, then install"
            " one of them",
        )
    elif version is None:
        yield Result(
            FAIL,
            "mmcv is missing: pip install mmcv-lite==2.1.0, or mmcv==2.1.0 for detection and"
            " segmentation",
        )
    elif not in_range(version, *MMCV):
        level = FAIL if numbers(version) < numbers(MMCV[0]) else WARN
        yield Result(
            level,
            f"mmcv {version}: mmdet and mmsegmentation refuse {MMCV[1]} and newer, and"
            f" {MMCV[0]} is the oldest: pip install mmcv==2.1.0 (or mmcv-lite==2.1.0)",
        )
    elif lite:
        yield Result(
            OK, f"mmcv-lite {lite}: pre-training and classification, no detection or segmentation"
        )
    else:
        broken = import_error("mmcv.ops")
        yield (
            Result(
                WARN,
                f"mmcv {full} has no compiled operators ({broken}); for detection and segmentation:"
                " MMCV_WITH_OPS=1 pip install --no-build-isolation --force-reinstall --no-deps"
                " mmcv==2.1.0",
            )
            if broken
            else Result(OK, f"mmcv {full} with compiled operators")
        )


def has_fork(name: str) -> bool:
    return name in FORKS and installed(FORKS[name][0]) is not None


def check_fork(name: str, originals: list[str]) -> Result:
    """A fork that is installed: of a known version, and not over the package it replaces."""
    fork, low, high = FORKS[name]
    version = installed(fork) or ""
    both = [original for original in originals if installed(original)]
    if both:
        return Result(
            FAIL,
            f"{fork} and {both[0]} overwrite each other: pip uninstall -y {fork} {both[0]}, then"
            " install one of them",
        )
    if not in_range(version, low, high):
        return Result(
            WARN, f"{fork} {version} is not >={low},<{high}: pip install '{fork}>={low},<{high}'"
        )
    return Result(OK, f"{fork} {version}, for {name}")


def check_packages() -> Iterator[Result]:
    for name, (low, high) in REQUIRED.items():
        if has_fork(name):
            yield check_fork(name, [name])
            continue
        version = installed(name)
        if version is not None and in_range(version, low, high):
            yield Result(OK, f"{name} {version}")
            continue
        limits = f">={low}" + (f",<{high}" if high else "")
        yield Result(FAIL, f"{name} {version or 'is missing'}: pip install '{name}{limits}'")
    for name, (low, high, purpose, fix) in OPTIONAL.items():
        if has_fork(name):
            yield check_fork(name, [name])
            continue
        version = installed(name)
        if version is None:
            yield Result(OK, f"{name} is not installed; only for {purpose}: {fix}")
        elif not in_range(version, low, high):
            yield Result(WARN, f"{name} {version}, for {purpose}, is not >={low},<{high}: {fix}")
        else:
            yield Result(OK, f"{name} {version}, for {purpose}")
    if installed("numpy") and numbers(installed("numpy") or "0") >= (2,):
        broken = import_error("cv2")
        if broken:
            yield Result(FAIL, f"OpenCV does not import: {broken}: pip install -U opencv-python")


def check_gpu() -> Iterator[Result]:
    torch = try_import("torch")
    if torch is None:
        return
    if not torch.cuda.is_available():
        built = torch.version.cuda or torch.version.hip
        why = "its driver is missing or too old" if built else "this torch is built for CPUs only"
        yield Result(WARN, f"no GPU is usable ({why}): training runs on the CPU, in float32")
        return
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        yield Result(OK, f"GPU {index}: {facts.name}, {facts.total_memory / GIB:.0f} GiB")
    if torch.cuda.is_bf16_supported(including_emulation=False):
        yield Result(OK, "bfloat16 is supported")
    else:
        yield Result(WARN, "no bfloat16: recipes train in float16 here; watch for NaN losses")
    if torch.cuda.device_count() > 1 and not torch.distributed.is_nccl_available():
        yield Result(FAIL, "torch has no NCCL, which several GPUs need: install a CUDA build")
    operators = try_import("mmcv.ops")
    if operators is not None and operators.get_compiling_cuda_version() == "not available":
        yield Result(
            WARN,
            "mmcv's operators are built for the CPU only; for detection and segmentation on GPUs,"
            " with the CUDA toolkit: FORCE_CUDA=1 MMCV_WITH_OPS=1 pip install --no-build-isolation"
            " --no-cache-dir --force-reinstall --no-deps mmcv==2.1.0",
        )


def check_threads() -> Iterator[Result]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads is not None and (not threads.isdigit() or int(threads) > (cores or 1)):
        yield Result(WARN, f"OMP_NUM_THREADS={threads} on {cores} cores: export OMP_NUM_THREADS=1")
    else:
        yield Result(
            OK, f"{cores} CPU cores, OMP_NUM_THREADS={threads or 'unset (dist_train.sh: torchrun)'}"
        )
    cv2 = try_import("cv2")
    if cv2 is not None and cv2.getNumThreads() > (cores or 1):
        yield Result(
            WARN,
            f"OpenCV uses {cv2.getNumThreads()} threads on {cores} cores; the recipes turn this off"
            " (env_cfg.mp_cfg.opencv_num_threads=0), other programs: cv2.setNumThreads(0)",
        )


def check_shared_memory(path: str = "/dev/shm") -> Iterator[Result]:
    if not os.path.isdir(path):
        yield Result(OK, f"no {path} on this system")
        return
    free = shutil.disk_usage(path).free
    text = f"shared memory: {free / GIB:.1f} GiB free in {path}"
    if free < LEAST_SHM:
        yield Result(
            WARN,
            f"{text}, where data loading processes hand over batches: docker run --ipc=host (or"
            " --shm-size=16g), or train_dataloader.num_workers=0",
        )
    else:
        yield Result(OK, text)


def check_disk(work_dir: str) -> Iterator[Result]:
    folder = Path(work_dir).resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    text = f"disk: {free / GIB:.0f} GiB free for checkpoints in '{work_dir}'"
    if not os.access(folder, os.W_OK):
        yield Result(FAIL, f"'{folder}' cannot be written to: give another --work-dir")
    elif free < LEAST_DISK:
        yield Result(
            WARN,
            f"{text}; one of Swin-B is 1.3 GiB and a run keeps three: free some, or give another"
            " --work-dir",
        )
    else:
        yield Result(OK, text)


def check_folder(data_root: str) -> Iterator[Result]:
    folder = Path(data_root).expanduser()
    if not folder.is_dir():
        yield Result(FAIL, f"there is no data folder '{data_root}': give it with --data-root")
    elif not any(folder.iterdir()):
        yield Result(FAIL, f"the data folder '{data_root}' is empty")
    else:
        yield Result(OK, f"data folder '{data_root}'")


def check_config(name: str, data_root: str | None, options: Sequence[str] = ()) -> Iterator[Result]:
    """What a config needs beyond the packages: data, weights, teachers."""
    try:
        from mmengine.config import Config

        from mim_plugins.apis import change_config, find_config
        from mim_plugins.engine import add_config_options, run_config
    except Exception as error:  # what is missing has its own line above
        yield Result(FAIL, f"mim_plugins does not import: {first_line(error)}; mend the above")
        return
    try:
        cfg = Config.fromfile(find_config(name))
        if options:
            parser = argparse.ArgumentParser()
            add_config_options(parser)  # which reads MMEngine's syntax
            change_config(cfg, parser.parse_args(["--cfg-options", *options]).cfg_options)
    except Exception as error:  # configs are programs
        yield Result(FAIL, f"config '{name}' cannot be read: {first_line(error)}")
        return
    yield Result(OK, f"config '{name}'")
    run_config.apply_data_root(cfg, data_root)
    try:
        run_config.require_data(cfg)
        yield Result(OK, "the folders of its data sets are there")
    except FileNotFoundError as error:
        yield Result(FAIL, first_line(error))
    init = cfg.model.get("backbone", {}).get("init_cfg")
    file = init.get("checkpoint") if isinstance(init, dict) else None
    if file and "://" not in file and not Path(file).expanduser().is_file():
        yield Result(
            FAIL,
            f"there are no pre-trained weights '{file}': pre-train first, or --cfg-options"
            " model.backbone.init_cfg.checkpoint=FILE",
        )
    elif file:
        yield Result(OK, f"pre-trained weights '{file}'")
    for mimic, settings in (cfg.model.get("mimics") or {}).items():
        yield check_teacher(mimic, settings.target)


def check_teacher(name: str, target: Any) -> Result:
    """Whether a teacher can be built here, from its file, the cache or the hub."""
    from mim_plugins.registry import MODELS

    try:
        teacher = MODELS.build(target)
    except Exception as error:  # libraries, files and the hub each have errors of their own
        option = f"--cfg-options model.mimics.{name}.target.pretrained=FILE"
        return Result(FAIL, f"teacher '{name}': {first_line(error)}; {option}")
    return Result(
        OK, f"teacher '{name}': {type(teacher).__name__}, {teacher.out_channels} channels"
    )


def installed(name: str) -> str | None:
    """Version of an installed distribution, None if there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: '2.11.0+cu128' is (2, 11, 0)."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else (0,)


def in_range(version: str, low: str, high: str | None) -> bool:
    """Is ``low`` <= ``version`` < ``high``?"""
    return numbers(low) <= numbers(version) and (high is None or numbers(version) < numbers(high))


def try_import(name: str) -> Any:
    """The module, or None if it does not import for whatever reason."""
    try:
        return importlib.import_module(name)
    except Exception:  # broken packages raise anything
        return None


def import_error(name: str) -> str:
    """Why a module does not import, in a line; empty if it does."""
    try:
        importlib.import_module(name)
    except Exception as error:  # broken packages raise anything
        return first_line(error)
    return ""


def first_line(error: Exception) -> str:
    """The beginning of an error's message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


if __name__ == "__main__":
    main()
