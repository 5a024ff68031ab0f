"""Checks of the machine: GPUs, threads, shared memory and disk."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from checks.packages import FAIL, OK, WARN, Result, try_import

GIB = 2**30
LEAST_DISK, LEAST_SHM = 20 * GIB, 2 * GIB


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
            " (env_cfg.mp_cfg.opencv_num_threads=0); in other programs, call cv2.setNumThreads(0)",
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
            f"{text}, through which loading processes return batches: docker run --ipc=host (or"
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
            f"{text}; a checkpoint of Swin-B has 1.3 GiB and a run keeps three: free space, or give"
            " another --work-dir",
        )
    else:
        yield Result(OK, text)
