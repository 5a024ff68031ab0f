"""tools/dev/compile_kernels.py for one size of groups."""

import pytest
from tool_runs import run_tool

pytest.importorskip("triton", minversion="3.6")


def test_kernels_for_bfloat16_compile_without_spills():
    arguments = "--tokens", "25", "--dtypes", "bfloat16", "--capabilities", "90"
    rows = run_tool("dev/compile_kernels.py", *arguments).stdout.splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[3] for row in cells] == ["forward", "key"]
    assert [row[7] for row in cells] == ["0", "0"]
