"""tools/misc/launch.py, with processes that end in different ways."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time

import pytest
from free_port import free_port
from tool_runs import TOOLS, run_process


def launch(script, tmp_path, port=None, processes=2, code=1, restarts=0):
    """Return the lines of errors, without PyTorch's warnings about host names."""
    file = tmp_path / "script.py"
    file.write_text(f"import os, signal, sys, time\nrank = os.environ['RANK']\n{script}\n")
    options = [f"--nproc_per_node={processes}", f"--master_port={port or free_port()}"]
    if restarts:
        options += [f"--max_restarts={restarts}", "--standalone", "--local_addr=127.0.0.1"]
    error = run_process(sys.executable, TOOLS / "misc/launch.py", *options, file, code=code).stderr
    assert "Traceback" not in error
    return [line for line in error.splitlines() if line.startswith("error:")]


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("print('done')", 0, []),
        ("if rank == '1': sys.exit(85)\ntime.sleep(60)", 85, []),
        ("if rank == '1': sys.exit('error: mine')\ntime.sleep(60)", 1, ["error: mine"]),
        (
            "if rank == '0': os.kill(os.getpid(), signal.SIGKILL)\ntime.sleep(60)",
            128 + signal.SIGKILL,
            [
                "error: process 0 was ended by SIGKILL, often because the machine is out of memory:"
                " reduce train_dataloader.num_workers"
            ],
        ),
    ],
)
def test_exit_code_and_message_come_from_the_failed_process(script, code, said, tmp_path):
    assert launch(script, tmp_path, code=code) == said


def test_used_port_and_invalid_number_exit_with_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        errors = launch("", tmp_path, taken.getsockname()[1])
    assert errors == ["error: the port is taken (address already in use): set PORT=29511"]

    errors = launch("", tmp_path, processes="eight")
    assert errors == ["error: Unsupported nproc_per_node value: eight"]


@pytest.mark.parametrize(
    ("rank", "line"), [(0, "too few machines have joined"), (1, "no connection to 127.0.0.1:{}:")]
)
def test_machines_that_do_not_meet_are_one_line(tmp_path, rank, line):
    (tmp_path / "script.py").touch()
    port = free_port()
    options = ("--nnodes=2", f"--node_rank={rank}", "--master_addr=127.0.0.1", "--nproc_per_node=1")
    command = (sys.executable, TOOLS / "misc/launch.py", *options, f"--master_port={port}")
    wait = "--rdzv_conf=timeout=1"
    printed = run_process(*command, wait, tmp_path / "script.py", code=1).stderr
    assert printed.splitlines()[-1].startswith(f"error: {line.format(port)}")
    assert "Traceback" not in printed


def test_a_connection_lost_later_is_no_failed_meeting(tmp_path):
    (tmp_path / "script.py").write_text(
        "import os, pathlib, time\n"
        f"parent = os.getppid()\npathlib.Path({str(tmp_path)!r}, os.environ['RANK']).touch()\n"
        "while os.getppid() == parent: time.sleep(0.1)\n"
    )
    port = free_port()
    command = [
        sys.executable, str(TOOLS / "misc/launch.py"), "--nnodes=2", "--nproc_per_node=1",
        "--rdzv_backend=c10d", f"--rdzv_endpoint=127.0.0.1:{port}", "--rdzv_id=1",
        "--local_addr=127.0.0.1", str(tmp_path / "script.py"),
    ]  # fmt: skip
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while not (tmp_path / "host").exists() and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            (tmp_path / "host").touch()
    second = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "0").exists() or not (tmp_path / "1").exists():
        assert time.monotonic() < until + 30
        time.sleep(0.1)
    first.kill()
    first.wait()
    printed = second.communicate(timeout=60)[1]
    assert f"error: the connection to 127.0.0.1:{port} was lost" in printed


def test_error_of_all_processes_is_printed_once(tmp_path):
    (line,) = launch(
        "from mim_plugins.errors import ConfigError\n"
        "from mim_plugins.cli import user_errors\n"
        "with user_errors():\n    raise ConfigError('wrong')",
        tmp_path,
    )
    assert line.startswith("error: wrong (process ")


def test_kill_is_reported_even_if_another_process_fails_too(tmp_path):
    errors = launch(
        "mark = f'{__file__}.mark'\n"
        "if rank == '1':\n    open(mark, 'w').close()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "while not os.path.exists(mark): time.sleep(0.001)\n"
        "sys.exit('error: connection lost')",
        tmp_path,
        code=128 + signal.SIGKILL,
    )
    assert errors[-1].startswith("error: process 1 was ended by SIGKILL")


ATTEMPT = """
import json
attempt = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
def report(can_restart, message="error: mine"):
    content = dict(message=message, timestamp=int(time.time()), can_restart=can_restart)
    open(os.environ["TORCHELASTIC_ERROR_FILE"], "w").write(json.dumps(content))
progress = os.path.join(os.path.dirname(os.environ["TORCHELASTIC_ERROR_FILE"]), "progress")
open(progress, "w").write(f'{7 + int(rank)} 40')
"""


def test_killed_process_is_restarted_with_the_cause(tmp_path):
    launch(
        f"{ATTEMPT}\n"
        "if attempt == 0 and rank == '1': os.kill(os.getpid(), signal.SIGKILL)\n"
        "if attempt == 0: time.sleep(60)\n"
        "open(f'{__file__}.{rank}', 'w').write(os.environ['MIM_PLUGINS_RESTART'])",
        tmp_path, code=0, restarts=1,
    )  # fmt: skip
    for rank in range(2):
        cause = json.loads((tmp_path / f"script.py.{rank}").read_text())
        assert cause["text"] == "process 1 was ended by SIGKILL"
        assert (cause["iteration"], cause["is_consequence"]) == ([8, 40], False)


def test_user_error_is_not_restarted(tmp_path):
    text = f"{ATTEMPT}\nopen(f'{{__file__}}.{{attempt}}', 'w')\n"
    text += "if rank == '0': report(False); sys.exit('error: mine')\ntime.sleep(60)"
    assert launch(text, tmp_path, restarts=3) == ["error: mine"]
    assert not (tmp_path / "script.py.1").exists()


def test_transient_error_is_restarted_until_the_limit(tmp_path):
    errors = launch(
        f"{ATTEMPT}\nopen(f'{{__file__}}.{{attempt}}', 'w')\nreport(True); sys.exit('error: mine')",
        tmp_path, restarts=1, processes=1,
    )  # fmt: skip
    assert (tmp_path / "script.py.1").exists()
    assert not (tmp_path / "script.py.2").exists()
    assert errors == ["error: mine", "error: mine", "error: no restarts left (MAX_RESTARTS=1)"]
