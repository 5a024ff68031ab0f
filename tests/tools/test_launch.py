"""tools/launch.py, with processes that end in different ways."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from free_port import free_port

TOOL = Path(__file__).parents[2] / "tools/launch.py"


def errors(result):
    """Lines of errors; PyTorch warns of some machines' host names."""
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
                "error: process 0 was ended by SIGKILL, often because the machine's memory is full:"
                " fewer train_dataloader.num_workers"
            ],
        ),
    ],
)
def test_the_code_and_the_words_are_those_of_the_process_that_failed(script, code, said, tmp_path):
    result = launch(script, tmp_path)
    assert (result.returncode, errors(result)) == (code, said)


def test_a_port_in_use_and_a_wrong_number_are_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = launch("", tmp_path, taken.getsockname()[1])
    assert result.returncode == 1
    expected = "error: another program has the port, address already in use: set PORT=29511"
    assert errors(result) == [expected]

    result = launch("", tmp_path, processes="eight")
    assert errors(result) == ["error: Unsupported nproc_per_node value: eight"]


def test_an_error_of_all_processes_is_told_once(tmp_path):
    result = launch(
        "from mim_plugins.errors import ConfigError\n"
        "from mim_plugins.cli import user_errors\n"
        "with user_errors():\n    raise ConfigError('wrong')",
        tmp_path,
    )
    (line,) = errors(result)
    assert line.startswith("error: wrong (process ")
    assert result.returncode == 1


def test_a_kill_is_named_though_another_process_fails_because_of_it(tmp_path):
    result = launch(
        "mark = f'{__file__}.mark'\n"
        "if rank == '1':\n    open(mark, 'w').close()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "while not os.path.exists(mark): time.sleep(0.001)\n"
        "sys.exit('error: connection lost')",
        tmp_path,
    )
    assert result.returncode == 128 + signal.SIGKILL
    assert errors(result)[-1].startswith("error: process 1 was ended by SIGKILL")
