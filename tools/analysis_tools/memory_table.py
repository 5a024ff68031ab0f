"""Compute the memory that MixMAE pre-training needs per GPU, for Swin-B, L and H at 224 px.

The forward pass runs with batches of 2 and 4 images on tensors without values, with the attention
kernels and the autocast of GPUs. Each storage saved for the backward pass counts once. 1 GB is 10^9
bytes. Prints Markdown tables.
"""

import argparse

from mim_plugins.cli.command_words import command_words
from mim_plugins.cli.ctrl_c import one_line_on_ctrl_c
from mim_plugins.errors import BUILD_ERRORS


@one_line_on_ctrl_c()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archs", nargs="+", default=["base", "large", "huge"])
    parser.add_argument(
        "--gpus", type=int, default=16, help="GPUs that share the state by ZeRO or FSDP2"
    )
    args = parser.parse_args(command_words())
    if args.gpus < 1:
        parser.error(f"--gpus {args.gpus} must be at least 1")
    from training_memory import memory_rows  # imports PyTorch, which --help does not need

    from mim_plugins.cli import user_errors

    with user_errors(also=BUILD_ERRORS):
        print("\n".join(memory_rows(args.archs, args.gpus)))


if __name__ == "__main__":
    main()
