"""Check this machine, its packages, and what a config needs; say what to fix and how.

Prints a line per check, OK, WARN or FAIL. Exit status 1: at least one FAIL. Runs whatever is
missing or broken.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from checks.packages import (
    FAIL,
    OK,
    WARN,
    Result,
    check_mmcv,
    check_packages,
    check_python,
    check_torch,
    first_line,
    import_error,
    try_import,
)

GIB = 2**30
LEAST_DISK, LEAST_SHM = 20 * GIB, 2 * GIB


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
    elif not os.access(folder, os.R_OK | os.X_OK):
        yield Result(FAIL, f"the data folder '{data_root}' cannot be read: check its permissions")
    elif not any(folder.iterdir()):
        yield Result(FAIL, f"the data folder '{data_root}' is empty")
    else:
        yield Result(OK, f"data folder '{data_root}'")


def check_config(name: str, data_root: str | None, options: Sequence[str] = ()) -> Iterator[Result]:
    """What a config needs beyond the packages: data, weights, teachers."""
    try:
        from mmengine.config import Config

        from mim_plugins.apis import find_config, override_config
        from mim_plugins.cli import add_config_options, missing_packages_remedy, run_config
        from mim_plugins.errors import ConfigError
    except Exception as error:  # what is missing has its own line above
        yield Result(FAIL, f"mim_plugins does not import: {first_line(error)}; mend the above")
        return
    try:
        cfg = Config.fromfile(find_config(name))
        if options:
            parser = argparse.ArgumentParser()
            add_config_options(parser)  # which reads MMEngine's syntax
            given = dict(parser.parse_args(["--cfg-options", *options]).cfg_options)
            data_root = data_root or given.pop("data_root", None)
            override_config(cfg, given)
        run_config.require_known_arguments(cfg)
    except Exception as error:  # configs are programs
        reason = first_line(error)
        remedy = missing_packages_remedy(reason)
        yield Result(FAIL, f"config '{name}' cannot be read: {reason}{remedy}")
        return
    yield Result(OK, f"config '{name}'")
    scope = cfg.get("default_scope")
    broken = scope in ("mmdet", "mmseg") and (import_error("mmcv.ops") or import_error(scope))
    if broken:
        yield Result(FAIL, f"{broken}{missing_packages_remedy(broken)}")
    try:
        run_config.apply_data_root(cfg, data_root)
        run_config.require_data(cfg)
        yield Result(OK, "the folders of its data sets are there")
    except (FileNotFoundError, ConfigError) as error:
        yield Result(FAIL, first_line(error))
    else:
        yield from check_agreement(cfg) if not broken else ()
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
        yield check_teacher(mimic, settings.target_generator)


def check_agreement(cfg: Any) -> Iterator[Result]:
    """Whether data sets, model and metrics of a config go together."""
    from mmengine.logging import MMLogger

    from mim_plugins.checks import consistency

    MMLogger.get_current_instance().setLevel("ERROR")  # notes of what is built
    try:
        warnings = consistency.check_config(cfg)
    except Exception as error:  # configs may name anything
        yield Result(FAIL, f"data and model: {first_line(error)}")
        return
    yield from (Result(WARN, warning) for warning in warnings)
    if not warnings:
        yield Result(OK, "data sets, model and metrics go together")


def check_teacher(name: str, target: Any) -> Result:
    """Whether a teacher can be built here, from its file, the cache or the hub."""
    from mim_plugins.registry import MODELS

    try:
        teacher = MODELS.build(target)
    except Exception as error:  # libraries, files and the hub each have errors of their own
        option = f"--cfg-options model.mimics.{name}.target_generator.pretrained=FILE"
        return Result(FAIL, f"teacher '{name}': {first_line(error)}; {option}")
    return Result(
        OK, f"teacher '{name}': {type(teacher).__name__}, {teacher.out_channels} channels"
    )


if __name__ == "__main__":
    main()
