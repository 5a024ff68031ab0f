"""tools/slurm_train.sh and slurm_test.sh with a fake Slurm, on the CPU."""

import inspect
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch.distributed.run
from free_port import free_port
from image_folders import write_images
from mmengine.config import Config

ROOT = Path(__file__).parents[2]

# fake srun: starts a process per task with its number, and returns the highest exit code
SRUN = """#!/usr/bin/env bash
asked="$*"
echo "${asked//$'\\n'/ }" >>"$SLURM_TEST/srun"
tasks=1
while [[ $1 == -* ]]; do
    case $1 in
        -p) shift ;;
        --ntasks=*) tasks=${1#*=} ;;
    esac
    shift
done
pids=()
for ((i = 0; i < tasks; i++)); do
    SLURM_PROCID=$i SLURM_LOCALID=$i SLURM_NTASKS=$tasks SLURM_NODELIST="node[1-2]" "$@" &
    pids+=($!)
done
if [[ -n ${SIGNAL_ONCE:-} && ! -e $SLURM_TEST/signaled ]]; then
    touch "$SLURM_TEST/signaled"
    until [[ -e $SLURM_TEST/ready ]]; do sleep 0.05; done
    kill "-$SIGNAL_ONCE" "${pids[@]}" # as Slurm does: only to the tasks, not to their children
fi
worst=0
for pid in "${pids[@]}"; do
    code=0; wait "$pid" || code=$?
    ((code > worst)) && worst=$code
done
exit "$worst"
"""
SCONTROL = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$SLURM_TEST/scontrol"
case "$1 $2" in
    "show job") echo "JobId=$3 Requeue=1 BatchFlag=${BATCH_FLAG-1} Reboot=0" ;;
    "show "*) echo 127.0.0.1 ;;
esac
exit 0
"""


@pytest.fixture
def slurm(tmp_path):
    """Run a command with the fake programs first in PATH, and record their arguments."""
    stubs = tmp_path / "stubs"
    stubs.mkdir()

    def stub(name, text):
        (stubs / name).write_text(text)
        (stubs / name).chmod(0o755)

    stub("srun", SRUN)
    stub("scontrol", SCONTROL)

    def run(*command, python=None, **variables):
        if python:
            stub("python", python)
        path = f"{stubs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
        result = subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=300,
            env=inherited
            | dict(PATH=path, SLURM_TEST=str(tmp_path), OMP_NUM_THREADS="1",
                   CUDA_VISIBLE_DEVICES="")
            | variables,
        )  # fmt: skip
        return result

    run.asked = lambda name: (
        (tmp_path / name).read_text().splitlines() if (tmp_path / name).exists() else []
    )
    return run


# fake train.py: exits as preempted twice, then succeeds; records its arguments and its launch
TWICE_PREEMPTED = """#!/usr/bin/env bash
echo "$MIM_PLUGINS_LAUNCH $*" >>"$SLURM_TEST/python$SLURM_PROCID"
[[ $(wc -l <"$SLURM_TEST/python$SLURM_PROCID") -lt 3 ]] && exit 85
exit 0
"""
# fake train.py: waits for the signal to save (or is ended by it during setup), then succeeds
WAITS_FOR_A_SIGNAL = """#!/usr/bin/env bash
echo "$MIM_PLUGINS_LAUNCH $*" >>"$SLURM_TEST/python$SLURM_PROCID"
[[ $(wc -l <"$SLURM_TEST/python$SLURM_PROCID") -gt 1 ]] && exit 0
[[ -n ${IN_SETUP:-} ]] || trap 'exit 85' TERM USR1
[[ -z ${FROM_A_PERSON:-} ]] || kill "-$FROM_A_PERSON" $$
touch "$SLURM_TEST/ready"
for _ in {1..100}; do sleep 0.1; done
exit 1
"""


def test_openmmlabs_variables_reach_srun(slurm):
    result = slurm(
        "bash", "tools/slurm_test.sh", "part", "job", "config.py", "a.pth", "--out", "m.json",
        python="#!/bin/sh\necho \"$@\"\n", GPUS="3", GPUS_PER_NODE="2", CPUS_PER_TASK="7",
        SRUN_ARGS="--qos=low --time=60",
    )  # fmt: skip
    assert result.returncode == 0
    (line,) = slurm.asked("srun")
    assert line.startswith(
        "-p part --job-name=job --gres=gpu:2 --ntasks=3 --ntasks-per-node=2 --cpus-per-task=7"
        " --kill-on-bad-exit=1 --qos=low --time=60 python -u"
    )
    assert (
        result.stdout.splitlines()
        == ["-u tools/test.py config.py a.pth --launcher slurm --out m.json"] * 3
    )


def test_a_task_has_the_cores_of_the_job_or_of_its_workers(slurm):
    workers = Config.fromfile(ROOT / "configs/mixmae/swin_b_600e.py").train_dataloader.num_workers
    job = dict(SLURM_CPUS_PER_TASK="10")
    for variables in ({}, job, job | dict(CPUS_PER_TASK="6")):
        slurm(
            "bash", "tools/slurm_test.sh", "p", "j", "c", "a.pth", python="#!/bin/sh\n", **variables
        )
    for line, cores in zip(slurm.asked("srun"), (workers, 10, 6), strict=True):
        assert f" --cpus-per-task={cores} " in line


@pytest.mark.parametrize(("gpus", "per_node"), [("2", "2"), ("16", "8")])
def test_job_requests_at_most_one_gpu_per_task(slurm, gpus, per_node):
    slurm("bash", "tools/slurm_test.sh", "p", "j", "c", "a.pth", python="#!/bin/sh\n", GPUS=gpus)
    expected = f"--gres=gpu:{per_node} --ntasks={gpus} --ntasks-per-node={per_node}"
    assert expected in slurm.asked("srun")[0]


def test_preempted_run_restarts_as_the_same_launch(slurm, tmp_path):
    result = slurm(
        "bash", "tools/slurm_train.sh", "part", "job", "config.py", tmp_path / "run", "--amp",
        python=TWICE_PREEMPTED, GPUS="2",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    first, second, third = slurm.asked("python1")
    assert first.endswith(f"config.py --work-dir {tmp_path}/run --launcher slurm --amp")
    assert first == second == third
    assert slurm.asked("scontrol") == []
    assert not (tmp_path / "run/preempted").exists()


@pytest.mark.parametrize("moment", [{}, dict(IN_SETUP="1")], ids=["training", "setup"])
@pytest.mark.parametrize("name", ["TERM", "USR1"])
def test_task_forwards_signals_to_python(slurm, tmp_path, name, moment):
    result = slurm(
        "bash", "tools/slurm_train.sh", "part", "job", "config.py", tmp_path / "run",
        python=WAITS_FOR_A_SIGNAL, GPUS="1", SIGNAL_ONCE=name, **moment,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    first, second = slurm.asked("python0")
    assert second == first


def test_a_signal_from_a_person_during_setup_ends_the_run(slurm, tmp_path):
    result = slurm(
        "bash", "tools/slurm_train.sh", "part", "job", "config.py", tmp_path / "run",
        python=WAITS_FOR_A_SIGNAL, GPUS="1", IN_SETUP="1", FROM_A_PERSON="TERM", MAX_RESTARTS="3",
    )  # fmt: skip
    assert result.returncode == 143
    assert len(slurm.asked("srun")) == 1


def test_preempted_batch_job_is_requeued(slurm, tmp_path):
    command = ("bash", "tools/slurm_train.sh", "part", "job", "config.py", tmp_path / "run")
    batch = dict(GPUS="2", SLURM_JOB_ID="123")

    assert slurm(*command, python=TWICE_PREEMPTED, **batch).returncode == 0
    assert slurm.asked("scontrol") == ["show job 123", "requeue 123"]
    assert len(slurm.asked("python0")) == 1

    slurm(*command, python=TWICE_PREEMPTED, SLURM_RESTART_COUNT="1", **batch)
    first, second = slurm.asked("python0")
    assert first == second
    assert first.startswith("123 ")


def test_preempted_heterogeneous_batch_job_is_requeued(slurm, tmp_path):
    slurm(
        "bash", "tools/slurm_train.sh", "part", "job", "config.py", tmp_path / "run",
        python=TWICE_PREEMPTED, GPUS="1", SLURM_JOB_ID="123", BATCH_FLAG="1 BatchFlag=0",
    )  # fmt: skip
    assert slurm.asked("scontrol") == ["show job 123", "requeue 123"]


def test_preempted_run_of_salloc_restarts_there(slurm, tmp_path):
    result = slurm(
        "bash", "tools/slurm_train.sh", "part", "job", "config.py", tmp_path / "run",
        python=TWICE_PREEMPTED, GPUS="1", SLURM_JOB_ID="123", BATCH_FLAG="0",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert slurm.asked("scontrol") == ["show job 123"]
    assert len(slurm.asked("python0")) == 3


def test_each_run_of_salloc_has_all_its_restarts(slurm, tmp_path):
    command = ("bash", "tools/slurm_train.sh", "part", "job", "config.py", tmp_path / "run")
    job = dict(GPUS="1", SLURM_JOB_ID="123", BATCH_FLAG="0", MAX_RESTARTS="1")
    launches = set()
    for _ in range(2):
        result = slurm(*command, python=FAILS_TWICE, **job)
        assert result.returncode == 9
        assert "restart 1 of 1" in result.stderr
        launches |= {line.split()[0] for line in slurm.asked("python0")}
        (tmp_path / "python0").unlink()
    assert len(launches) == 2


def test_a_failure_is_not_repeated(slurm, tmp_path):
    result = slurm(
        "bash", "tools/slurm_train.sh", "part", "job", "config.py", tmp_path / "run",
        python='#!/bin/sh\nexit $((SLURM_PROCID * 3))\n', GPUS="2",
    )  # fmt: skip
    assert result.returncode == 3
    assert len(slurm.asked("srun")) == 1
    assert slurm.asked("scontrol") == []


# fake train.py: fails twice, then succeeds; reports a user's error if REPORTS is set
FAILS_TWICE = """#!/usr/bin/env bash
echo "$MIM_PLUGINS_LAUNCH $*" >>"$SLURM_TEST/python$SLURM_PROCID"
[[ -n ${REPORTS:-} ]] && touch "$MIM_PLUGINS_NO_RESTART"
[[ $(wc -l <"$SLURM_TEST/python$SLURM_PROCID") -lt 3 ]] && exit ${CODE:-9}
exit 0
"""


def test_failed_run_restarts_up_to_the_limit(slurm, tmp_path):
    command = ("bash", "tools/slurm_train.sh", "part", "job", "config.py", tmp_path / "run")
    result = slurm(*command, python=FAILS_TWICE, GPUS="1", MAX_RESTARTS="1")
    assert result.returncode == 9
    assert result.stderr.count("restart 1 of 1: a task ended with exit code 9") == 1
    first, second = slurm.asked("python0")
    assert second == first
    assert slurm(*command, GPUS="1", MAX_RESTARTS="1").returncode == 0


@pytest.mark.parametrize("variables", [dict(REPORTS="1"), dict(CODE="2"), dict(CODE="130")])
def test_errors_of_the_user_are_not_restarted(slurm, tmp_path, variables):
    result = slurm(
        "bash", "tools/slurm_train.sh", "part", "job", "config.py", tmp_path / "run",
        python=FAILS_TWICE, GPUS="1", MAX_RESTARTS="3", **variables,
    )  # fmt: skip
    assert result.returncode == int(variables.get("CODE", 9))
    assert len(slurm.asked("srun")) == 1


def test_restarts_of_a_batch_job_are_counted_over_its_requeues(slurm, tmp_path):
    command = ("bash", "tools/slurm_train.sh", "part", "job", "config.py", tmp_path / "run")
    batch = dict(GPUS="1", SLURM_JOB_ID="123", MAX_RESTARTS="1", python=FAILS_TWICE)
    assert slurm(*command, **batch).returncode == 0
    assert slurm.asked("scontrol") == ["show job 123", "requeue 123"]
    assert slurm(*command, SLURM_RESTART_COUNT="1", **batch).returncode == 9
    assert slurm.asked("scontrol")[2:] == ["show job 123"]


@pytest.mark.parametrize("job", [{}, dict(SLURM_JOB_ID="7")])
def test_machines_that_join_later_need_a_name_of_the_run(slurm, job):
    """A job may start several runs, which its number does not distinguish."""
    result = slurm("bash", "tools/dist_train.sh", "config.py", "1", NNODES="1:2", **job)
    assert result.returncode == 2
    assert "set RDZV_ID to a new name for this run" in result.stderr


@pytest.mark.parametrize(
    ("gpus", "variables", "message"),
    [
        ("0", {}, "GPUS: '0' is not a whole number of at least 1"),
        ("-1", {}, "GPUS: '-1' is not"),
        ("2.5", {}, "GPUS: '2.5' is not"),
        ("1", dict(NNODES="0"), "NNODES: '0' is not a whole number of at least 1"),
        ("1", dict(NNODES="09:8"), "NNODES: '8' is not a whole number of at least 9"),
        ("1", dict(NNODES="2:1"), "NNODES: '1' is not a whole number of at least 2"),
        ("1", dict(NNODES="2", NODE_RANK="2"), "NODE_RANK: '2' is not a whole number from 0 to 1"),
        ("1", dict(MAX_RESTARTS="x"), "MAX_RESTARTS: 'x' is not a whole number of at least 0"),
        ("1", dict(PORT="70000"), "PORT: '70000' is not a whole number from 1 to 65535"),
    ],
)
def test_impossible_numbers_of_a_launch_are_one_line(slurm, gpus, variables, message):
    result = slurm(
        "bash", "tools/dist_train.sh", "config.py", gpus, python="#!/bin/sh\nexit 9\n", **variables
    )
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("script", "name", "value"),
    [
        ("slurm_test.sh", "GPUS", "0"),
        ("slurm_test.sh", "GPUS_PER_NODE", "0"),
        ("slurm_train.sh", "CPUS_PER_TASK", "2x"),
        ("slurm_train.sh", "PORT", "0"),
        ("slurm_train.sh", "MAX_RESTARTS", "3x"),
    ],
)
def test_impossible_numbers_of_a_job_are_one_line(slurm, tmp_path, script, name, value):
    result = slurm(
        "bash", f"tools/{script}", "p", "j", "c", tmp_path / "a",
        python="#!/bin/sh\nexit 9\n", **{name: value},
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {name}: '{value}' is not a whole number")
    assert result.stderr.count("\n") == 1
    assert slurm.asked("srun") == []


def test_leading_zeros_of_a_number_are_no_octal_numbers(slurm, tmp_path):
    result = slurm(
        "bash", "tools/slurm_train.sh", "p", "j", "c", tmp_path / "run", python=FAILS_TWICE,
        GPUS="010", GPUS_PER_NODE="08", CPUS_PER_TASK="09", MAX_RESTARTS="08",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "restart 1 of 8:" in result.stderr
    numbers = "--gres=gpu:8 --ntasks=10 --ntasks-per-node=8 --cpus-per-task=9"
    assert numbers in slurm.asked("srun")[0]


@pytest.mark.parametrize("script", ["slurm_train.sh", "slurm_test.sh", "dist_train.sh"])
def test_too_few_arguments_print_the_usage(slurm, script):
    result = slurm("bash", f"tools/{script}", "part")
    assert result.returncode == 2
    assert f"tools/{script}" in result.stderr
    assert slurm.asked("srun") == []


@pytest.fixture
def tiny(tmp_path):
    """Return a small config, and the arguments for training on eight images."""
    write_images(tmp_path / "images", 8, (70, 90))
    return ROOT / "tools/dev/configs/tiny_mixmae.py", (
        "--data-root", tmp_path / "images", "--keep-global-batch",
        "--cfg-options", "auto_scale_lr.base_batch_size=8", "train_cfg.max_epochs=1",
    )  # fmt: skip


@pytest.fixture
def port():
    return str(free_port())


def test_slurm_trains_on_the_cpu_with_gloo(slurm, tmp_path, tiny, port):
    config, arguments = tiny
    result = slurm(
        "bash", "tools/slurm_train.sh", "part", "job", config, tmp_path / "run", *arguments,
        GPUS="2", PORT=port,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    assert "global batch 8 = 2 processes * 2 images * 2 accumulated" in result.stdout
    assert "show hostnames node[1-2]" in slurm.asked("scontrol")
    assert (tmp_path / "run/epoch_1.pth").is_file()


def test_restart_before_an_iteration_still_overwrites(slurm, tmp_path, tiny, port):
    config, arguments = tiny
    run = tmp_path / "run"
    run.mkdir()
    (run / "epoch_2.pth").write_bytes(b"of an earlier run")
    (run / "last_checkpoint").write_text(str(run / "epoch_2.pth"))
    result = slurm(
        "bash", "tools/slurm_train.sh", "part", "job", config, run, "--overwrite", *arguments,
        python=f"""#!/usr/bin/env bash
        [[ -e $SLURM_TEST/failed ]] && exec {sys.executable} "$@"
        touch "$SLURM_TEST/failed"; exit 9
        """, GPUS="1", PORT=port, MAX_RESTARTS="2",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    assert (run / "epoch_1.pth").is_file()
    assert not (run / "epoch_2.pth").exists()


def test_second_run_in_a_batch_job_is_no_restart(slurm, tmp_path, tiny, port):
    config, arguments = tiny
    run = tmp_path / "run"
    command = ("bash", "tools/slurm_train.sh", "part", "job", config, run)
    job = dict(GPUS="1", PORT=port, SLURM_JOB_ID="123")
    first = slurm(*command, *arguments, **job)
    assert first.returncode == 0, first.stderr[-3000:]
    assert slurm(*command, *arguments, **job).returncode == 1  # the folder has checkpoints
    again = slurm(*command, "--overwrite", *arguments, **job)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "resumed epoch" not in again.stdout + again.stderr
    requeued = slurm(*command, *arguments, **job, SLURM_RESTART_COUNT="1")
    assert "Load checkpoint" in requeued.stdout + requeued.stderr


def test_two_machines_train_together(slurm, tmp_path, tiny, port):
    config, arguments = tiny

    def machine(rank):
        return slurm(
            "bash", "tools/dist_train.sh", config, 1, "--work-dir", tmp_path / "run", *arguments,
            NNODES="2", NODE_RANK=str(rank), MASTER_ADDR="127.0.0.1", PORT=port,
        )  # fmt: skip

    with ThreadPoolExecutor() as pool:
        first, second = pool.map(machine, (0, 1))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr[-3000:]
    assert "global batch 8 = 2 processes * 2 images * 2 accumulated" in first.stdout + first.stderr
    assert (tmp_path / "run/epoch_1.pth").is_file()


@pytest.mark.skipif(
    "signals" not in inspect.getsource(torch.distributed.run),
    reason="this torchrun hands on no SIGUSR1",
)
def test_torchrun_forwards_the_signal_to_save(tmp_path, tiny, port):
    config, arguments = tiny
    command = ["bash", "tools/dist_train.sh", config, 1, "--work-dir", tmp_path / "run", *arguments]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = dict(PATH=path, PORT=port, OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")
    with subprocess.Popen(
        [*map(str, command), "train_cfg.max_epochs=100000", "default_hooks.checkpoint.interval=5"],
        cwd=ROOT,
        env=os.environ | variables,
    ) as run:
        until = time.monotonic() + 120
        while not list(tmp_path.glob("run/epoch_*.pth")) and time.monotonic() < until:
            time.sleep(0.1)
        run.send_signal(signal.SIGUSR1)
        run.wait(60)
    assert (tmp_path / "run/interrupted.pth").is_file()
