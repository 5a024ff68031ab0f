"""tools/dev/attention_table.py for a small batch."""

from tool_runs import run_tool


def test_triton_kernels_move_fewer_bytes_than_the_others():
    lines = run_tool("dev/attention_table.py", "--batch", "16").stdout.splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert [row[0] for row in cells] == [
        "PyTorch's kernels", "Triton kernels", "flex_attention, estimated"
    ]  # fmt: skip
    moved = [float(row[2]) for row in cells]
    assert moved[1] < min(moved[0], moved[2])
