"""tools/dev/benchmarks/save_stall.py with a tiny checkpoint."""

from tool_runs import run_tool


def test_each_hook_has_a_row_of_times(tmp_path):
    options = ("--megabytes", 1, "--saves", 1, "--interval", 3, "--folder", tmp_path)
    rows = run_tool("dev/benchmarks/save_stall.py", *options).stdout.splitlines()[-3:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[0] for row in cells] == ["background", "foreground", "mmengine"]
    assert all(0 <= float(cell) < 60 for row in cells for cell in row[1:])
    assert list(tmp_path.iterdir()) == []
