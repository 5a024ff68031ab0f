"""tools/dev/attention_table.py for a small batch."""

from tool_runs import run_tool


def test_the_choice_by_size_is_the_fastest_of_all_blocks():
    lines = run_tool("dev/attention_table.py", "--batch", "64").stdout.splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    rows = {kernels: list(map(float, row)) for _, kernels, *row in cells}  # the last are sums
    assert list(rows) == [
        "PyTorch's kernels", "Triton kernels", "by size", "flex_attention, estimated"
    ]  # fmt: skip
    best = rows.pop("by size")
    for row in rows.values():
        assert [own <= other for own, other in zip(best, row, strict=True)][1:] == [True] * 5
