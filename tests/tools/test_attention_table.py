"""tools/dev/attention_table.py for a small batch."""

import sys

from tool_runs import TOOLS, run_process


def test_the_choice_by_size_avoids_slow_kernels():
    # a process, because pytest's path has the modules that the tool has to find
    command = (sys.executable, TOOLS / "dev/attention_table.py", "--batch", 64)
    lines = run_process(*command).stdout.splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    times = {(part, kernels): list(map(float, row[3:])) for part, kernels, *row in cells}
    chosen = times["all blocks", "by size"]
    for other in ("PyTorch's kernels", "flex_attention, estimated"):
        assert all(x < y for x, y in zip(chosen, times["all blocks", other], strict=True))
    # groups of 196 tokens without masks, for which the Triton kernels are not chosen
    part = "stage 3 of fine-tuning: 1 x 196"
    pytorch, triton = (times[part, f"{kind} kernels"] for kind in ("PyTorch's", "Triton"))
    assert all(x < y for x, y in zip(pytorch, triton, strict=True))
