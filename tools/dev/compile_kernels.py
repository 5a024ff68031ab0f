"""Compile the Triton kernels of attention for GPUs, without a GPU, and print their resources.

Registers and spills are ptxas's figures, per thread. A multiprocessor has 65536 registers, so the
number of its concurrent programs follows from registers and warps.
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from mim_plugins.layers import attention_gradients, attention_kernel
from mim_plugins.layers.attention_blocks import AttentionBlocks

DTYPES = dict(bfloat16="bf16", float16="fp16", float32="fp32")
ARRAYS = ("qkv", "pairs", "out", "grad", "grad_qkv")  # of the precision of the model
FLOAT32 = ("lse", "delta", "grad_pairs")
LIMITS = {80: 163, 90: 227}  # KiB of shared memory per program
IMAGES, MATRICES, HEADS = 256, 16, 16


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, nargs="+", default=[25, 49, 100, 196, 256])
    parser.add_argument("--channels", type=int, nargs="+", default=[32])
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=["bfloat16", "float32"])
    parser.add_argument("--capabilities", type=int, nargs="+", choices=LIMITS, default=[80, 90])
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    columns = ["tokens", "channels", "precision", "kernel", "block", "warps"]
    for capability in args.capabilities:
        columns += [f"sm_{capability} registers", "spilled bytes", "shared KiB", "programs per SM"]
    print(f"| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|")
    for tokens in args.tokens:
        for channels in args.channels:
            for dtype in args.dtypes:
                blocks = AttentionBlocks(tokens, channels, getattr(torch, dtype))
                for name in ("forward", *blocks.gradient_kernels):
                    tiles = blocks.tiling(name)
                    block = f"{tiles.rows} x {tiles.columns}"
                    cells = [tokens, channels, dtype, name, block, tiles.warps]
                    for capability in args.capabilities:
                        cells += resources(blocks, name, capability)
                    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def resources(blocks: AttentionBlocks, name: str, capability: int) -> tuple[int, int, str, int]:
    """Return registers, spilled bytes, shared KiB and concurrent programs of a kernel."""
    tiles, dtype = blocks.tiling(name), DTYPES[str(blocks.dtype).removeprefix("torch.")]
    module = attention_kernel if name == "forward" else attention_gradients
    kernel: Any = getattr(module, f"{name}_kernel")
    fixed = blocks.constants(name, IMAGES, MATRICES, HEADS)
    types = dict.fromkeys(ARRAYS, f"*{dtype}") | dict.fromkeys(FLOAT32, "*fp32")
    types |= dict(scale="fp32") | dict.fromkeys(fixed, "constexpr")
    signature = {key: types.get(key, "i32") for key in kernel.arg_names}
    aligned = [index for index, kind in enumerate(signature.values()) if kind.startswith("*")]
    compiled: Any = triton.compile(
        ASTSource(kernel, signature, fixed, {(i,): [["tt.divisibility", 16]] for i in aligned}),
        target=GPUTarget("cuda", capability, 32),
        options=dict(num_warps=tiles.warps, num_stages=tiles.stages),
    )
    registers, spilled = assembled(compiled.asm["ptx"])
    shared = compiled.metadata.shared / 1024
    programs = min(65536 // (registers * 32 * tiles.warps), 64 // tiles.warps, 32)
    if shared:
        programs = min(programs, int(LIMITS[capability] // shared))
    return registers, spilled, f"{shared:.0f}", programs


def assembled(ptx: str) -> tuple[int, int]:
    """Return registers and spilled bytes per thread."""
    target = re.search(r"\.target (\w+)", ptx)
    assembler = triton.knobs.nvidia.ptxas.path
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.ptx"
        file.write_text(ptx)
        command = [assembler, "-v", f"-arch={target[1]}", str(file), "-o", f"{file}.cubin"]  # type: ignore[index]
        report = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    registers = re.search(r"Used (\d+) registers", report)
    stores = re.search(r"(\d+) bytes spill stores", report)
    return int(registers[1]), int(stores[1])  # type: ignore[index]


if __name__ == "__main__":
    main()
