"""tools/misc/launch.py, with processes that end in different ways."""

import signal
import socket
import sys

import pytest
from free_port import free_port
from tool_runs import TOOLS, run_process


def launch(script, tmp_path, port=None, processes=2, code=1):
    """Return the lines of errors, without PyTorch's warnings about host names."""
    file = tmp_path / "script.py"
    file.write_text(f"import os, signal, sys, time\nrank = os.environ['RANK']\n{script}\n")
    options = [f"--nproc_per_node={processes}", f"--master_port={port or free_port()}"]
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
