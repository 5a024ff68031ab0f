"""Errors in one of two real processes, started with torchrun or like with Slurm."""

import multiprocessing
import os
import re
import signal
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from free_port import free_port
from tool_runs import TOOLS, run_process

PROGRAM = """
import os, signal, sys, time
sys.path.insert(0, {helpers!r})
from mmengine.config import Config
from mmengine.hooks import Hook
from tiny_run import ToyImages, ToyModel, toy_runner
from mim_plugins.errors import ConfigError
from mim_plugins.cli import ConsoleRunner, process_group, run_config, user_errors
from mim_plugins.errors import BUILD_ERRORS
from two_processes import DISTRIBUTED

launcher, stage, kind, ranks = sys.argv[1:]
EVALUATION = dict(
    val_cfg={{}},
    val_evaluator=[],
    val_dataloader=dict(
        batch_size=2, dataset=ToyImages(), sampler=dict(type="DefaultSampler", shuffle=False)
    ),
)
process_group.set_rank_from_launcher(launcher)


def fail():
    if os.environ["RANK"] not in ranks:
        return
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "user":
        raise ConfigError("the cause\\nin two lines")
    raise ZeroDivisionError("the cause")


class Model(ToyModel):
    def forward(self, inputs, data_samples=None, mode="loss"):
        return super().forward(inputs) if mode == "loss" else data_samples


class Failing(Hook):
    def before_train_iter(self, runner, *args, **kwargs):
        if stage == "iteration":
            fail()

    def after_val_iter(self, runner, *args, **kwargs):
        if stage == "evaluation":
            fail()


def run():
    cfg = Config(dict(launcher=launcher, model={{}}))
    if stage == "start":
        fail()
    process_group.init_gloo_on_cpu(cfg)
    with user_errors(False, BUILD_ERRORS):
        runner = toy_runner({folder!r}, Model(), runner=ConsoleRunner, hooks=[Failing()],
                            **DISTRIBUTED | dict(launcher=launcher), **EVALUATION)
        runner._train_loop["val_interval"] = 2
        if stage == "build":
            fail()
    runner.train()


with user_errors():
    process_group.run_distributed(run)
"""


def program(tmp_path):
    helpers = str(Path(__file__).parents[1] / "helpers")
    return PROGRAM.format(helpers=helpers, folder=str(tmp_path / "run"))


def lines_of_errors(text):
    return [line for line in text.splitlines() if line.startswith("error:")]


def launched(tmp_path, stage, kind, ranks, code):
    """Run the program on two processes of torchrun; return the printed errors."""
    file = tmp_path / "program.py"
    file.write_text(program(tmp_path))
    launcher = (TOOLS / "misc/launch.py", "--nproc_per_node=2", f"--master_port={free_port()}")
    output = run_process(
        sys.executable, *launcher, file, "pytorch", stage, kind, ranks, code=code
    )  # fmt: skip
    assert "Traceback" not in "".join(output)
    return lines_of_errors(output.stderr)


def check_report(line, name, in_log_folder):
    assert line.startswith(f"error: {name} (process 1 of 2 on host '")
    if in_log_folder:
        (file,) = re.findall(r"traceback in (.*)\)$", line)
        text = Path(file).read_text()
        assert text.startswith(line)
        assert "in fail" in text


@pytest.mark.parametrize(
    ("stage", "kind", "name"),
    [
        ("start", "user", "the cause in two lines"),
        ("iteration", "unexpected", "ZeroDivisionError: the cause"),
    ],
)
def test_message_of_the_failing_process_is_printed(tmp_path, stage, kind, name):
    (line,) = launched(tmp_path, stage, kind, "1", code=1)
    check_report(line, name, stage != "start")


def test_launcher_reports_a_killed_process(tmp_path):
    *errors, last = launched(tmp_path, "iteration", "killed", "0", code=128 + signal.SIGKILL)
    assert "error: process 0 was ended by SIGKILL" in last
    assert all(line.startswith("error: another process of the run") for line in errors)


def run_task(rank, port, tmp_path, arguments):
    """Run the program like a task of Slurm, with its output in a file."""
    os.environ.update(
        SLURM_NTASKS="2", SLURM_JOB_ID=f"{os.getppid()}", SLURM_STEP_ID=port, MASTER_PORT=port,
        MASTER_ADDR="127.0.0.1", SLURM_NODELIST="localhost", SLURM_PROCID=str(rank),
        SLURM_LOCALID=str(rank), CUDA_VISIBLE_DEVICES="",
    )  # fmt: skip
    torch.set_num_threads(1)
    tempfile.tempdir = str(tmp_path)
    sys.argv = ["program.py", "slurm", *arguments]
    sys.stdout = sys.stderr = (tmp_path / f"console_{rank}").open("w", buffering=1)
    exec(compile(program(tmp_path), "program.py", "exec"), dict(__name__="__main__"))


def tasks(tmp_path, stage, kind, ranks):
    """Run the program on two forked processes; return the printed errors."""
    context = multiprocessing.get_context("fork")
    given = (str(free_port()), tmp_path, (stage, kind, ranks))
    processes = [context.Process(target=run_task, args=(rank, *given)) for rank in range(2)]
    for process in processes:
        process.start()
    processes[1].join(100)
    if stage in ("start", "build") and ranks == "1":
        # like srun --kill-on-bad-exit, because this process waits for the other
        processes[0].terminate()
    processes[0].join(100)
    assert not any(process.is_alive() for process in processes)
    console = "".join((tmp_path / f"console_{rank}").read_text() for rank in range(2))
    assert processes[1].exitcode == 1, console
    assert "Traceback" not in console
    return lines_of_errors(console)


@pytest.mark.parametrize(
    ("stage", "kind", "name"),
    [
        ("build", "user", "the cause in two lines"),
        ("build", "unexpected", "ZeroDivisionError: the cause"),
        ("iteration", "user", "the cause in two lines"),
        ("evaluation", "unexpected", "ZeroDivisionError: the cause"),
    ],
)
def test_slurm_processes_report_their_errors(tmp_path, stage, kind, name):
    (line,) = tasks(tmp_path, stage, kind, "1")
    check_report(line, name, in_log_folder=True)


@pytest.mark.parametrize("stage", ["start", "iteration"])
def test_error_of_all_processes_is_printed_once(tmp_path, stage):
    (line,) = tasks(tmp_path, stage, "user", "0 1")
    assert line.startswith("error: the cause in two lines (process ")
