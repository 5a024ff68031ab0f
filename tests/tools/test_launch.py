"""tools/misc/launch.py, with processes that end in different ways."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from free_port import free_port

TOOL = Path(__file__).parents[2] / "tools/misc/launch.py"


def errors(result):
    """Return the lines of errors, without PyTorch's warnings about host names."""
    assert "Traceback" not in result.stderr
    return [line for line in result.stderr.splitlines() if line.startswith("error:")]


def launch(script, tmp_path, port=None, processes=2):
    file = tmp_path / "script.py"
    file.write_text(f"import os, signal, sys, time\nrank = os.environ['RANK']\n{script}\n")
    options = [f"--nproc_per_node={processes}", f"--master_port={port or free_port()}"]
    return subprocess.run(
        [sys.executable, TOOL, *options, file],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | dict(OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES=""),
    )


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
    result = launch(script, tmp_path)
    assert (result.returncode, errors(result)) == (code, said)


def test_used_port_and_invalid_number_exit_with_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = launch("", tmp_path, taken.getsockname()[1])
    assert result.returncode == 1
    expected = "error: the port is taken (address already in use): set PORT=29511"
    assert errors(result) == [expected]

    result = launch("", tmp_path, processes="eight")
    assert errors(result) == ["error: Unsupported nproc_per_node value: eight"]


def test_error_of_all_processes_is_printed_once(tmp_path):
    result = launch(
        "from mim_plugins.errors import ConfigError\n"
        "from mim_plugins.cli import user_errors\n"
        "with user_errors():\n    raise ConfigError('wrong')",
        tmp_path,
    )
    (line,) = errors(result)
    assert line.startswith("error: wrong (process ")
    assert result.returncode == 1


def test_kill_is_reported_even_if_another_process_fails_too(tmp_path):
    result = launch(
        "mark = f'{__file__}.mark'\n"
        "if rank == '1':\n    open(mark, 'w').close()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "while not os.path.exists(mark): time.sleep(0.001)\n"
        "sys.exit('error: connection lost')",
        tmp_path,
    )
    assert result.returncode == 128 + signal.SIGKILL
    assert errors(result)[-1].startswith("error: process 1 was ended by SIGKILL")
