"""Function calls in two or more gloo processes forked from the test."""

import gc
import multiprocessing
import os

import torch
from free_port import free_port


def in_two_processes(function, *arguments, timeout=120):
    """Call :func:`in_processes` with two processes."""
    return in_processes(2, function, *arguments, timeout=timeout)


def in_processes(count, function, *arguments, timeout=120):
    """Call ``function(rank, *arguments)`` in each process; return exit codes and results."""
    port = free_port()
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [
        context.Process(target=_run, args=(rank, count, port, results, function, arguments))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
    returned = {}
    while not results.empty():
        returned.update([results.get()])
    return [process.exitcode for process in processes], returned


def _run(rank, count, port, results, function, arguments):
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(count), MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port), CUDA_VISIBLE_DEVICES="",
    )  # fmt: skip
    torch.set_num_threads(1)
    gc.freeze()  # MMEngine collects garbage, among all objects of the test process
    torch.distributed.init_process_group("gloo")
    try:
        results.put((rank, function(rank, *arguments)))
    finally:
        results.close()
        results.join_thread()


DISTRIBUTED = dict(
    launcher="pytorch",
    model_wrapper_cfg=dict(
        type="MMDistributedDataParallel", device_ids=None, broadcast_buffers=False
    ),
)
