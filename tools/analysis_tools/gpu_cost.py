"""Model the cost of a training step on a GPU, without a GPU: time, memory, launches, host waits.

The real step of the config runs on tensors without values: preprocessing, forward pass under CUDA's
autocast rules, backward pass and optimizer. Times are modeled from assumed rates, not measured,
and assume that the GPU is never idle. Of detectors and segmentors, only the backbone runs. A config
that cannot be modeled gets a line with the reason, and the exit status is 1.
"""

import argparse

from mim_plugins.cli import add_config_options
from mim_plugins.cli.command_words import command_words
from mim_plugins.cli.ctrl_c import one_line_on_ctrl_c
from mim_plugins.cli.sizes import add_size_option

DTYPES = ("float32", "bfloat16", "float16")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "configs",
        nargs="+",
        metavar="CONFIG",
        help="config files, names of list_models(), or configs of other projects such as"
        " mmpretrain::mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py",
    )
    parser.add_argument("--batch", type=int, help="images per step (default: the config's)")
    add_size_option(parser, "default: the backbone's img_size")
    parser.add_argument("--dtype", choices=DTYPES, help="of autocast (default: the config's)")
    parser.add_argument("--gpus", nargs="+", metavar="GPU", help="such as H200 (default: all)")
    parser.add_argument(
        "--rates",
        nargs="+",
        default=[],
        metavar="GPU.RATE=VALUE",
        help="other rates, such as H200.bandwidth=4.5e12; an unknown name lists all",
    )
    parser.add_argument("--operations", type=int, default=0, help="list the N longest operations")
    parser.add_argument(
        "--compile",
        nargs="+",
        default=[],
        metavar="SCOPE",
        help="also model the step after torch.compile of the blocks or of the whole model",
    )
    parser.add_argument(
        "--memory-budget",
        type=float,
        nargs="+",
        default=[1.0],
        metavar="SHARE",
        help="compile.memory_budget of the compiled steps",
    )
    parser.add_argument(
        "--graphs", action="store_true", help="count torch.compile's graphs over several masks"
    )
    parser.add_argument(
        "--plan",
        type=float,
        nargs="+",
        metavar="GB",
        help="print a Markdown table of options for GPUs with this memory, and of the hours that"
        " 100 epochs of ImageNet-1k take on one GPU",
    )
    parser.add_argument("--table", action="store_true", help="print a Markdown table instead")
    add_config_options(parser)
    return parser.parse_args(command_words())


@one_line_on_ctrl_c()
def main() -> None:
    args = parse_args()
    from gpu_steps import run  # imports PyTorch, which --help does not need

    run(args)


if __name__ == "__main__":
    main()
