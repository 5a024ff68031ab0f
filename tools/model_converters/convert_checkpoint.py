"""Convert a public checkpoint, decoder included, to the parameter names of this package.

The keys identify the layout: MixMIM/MixMAE, ConvMAE/MCMAE and MAE checkpoints of the authors, and
MixMIM and MAE of mmpretrain, pre-trained or fine-tuned. The result loads with ``load_from``. An
encoder alone needs no conversion: ``init_cfg=dict(type='Pretrained', checkpoint=SRC,
prefix='backbone.')`` reads SRC as it is.
"""

import argparse
from typing import TYPE_CHECKING

from mim_plugins.cli.command_words import command_words
from mim_plugins.cli.ctrl_c import one_line_on_ctrl_c
from mim_plugins.cli.output_place import require_output
from mim_plugins.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

    from mim_plugins.checkpoints import Layout


@one_line_on_ctrl_c()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("src", help="checkpoint: .pth, .safetensors or a reference .npz")
    parser.add_argument("dst", help="file to write: .pth")
    parser.add_argument("--force", action="store_true", help="overwrite DST")
    args = parser.parse_args(command_words())
    if not args.dst.endswith(".pth"):
        parser.error(f"DST '{args.dst}' must end in .pth, because load_from reads PyTorch files")
    require_output("DST", args.dst, args.force, [args.src])
    import torch

    from mim_plugins.checkpoints import write_checkpoint
    from mim_plugins.cli import user_errors

    with user_errors():
        layout, state_dict = read_converted(args.src)
        content = dict(meta=dict(converted_from=layout.name), state_dict=state_dict)
        write_checkpoint(args.dst, lambda path: torch.save(content, path), args.force)
    parts = sorted({name.split(".")[0] for name in state_dict})
    print(f"{layout.name}: {len(state_dict)} tensors ({', '.join(parts)}) -> {args.dst}")


def read_converted(file: str) -> "tuple[Layout, dict[str, Tensor]]":
    """Return the layout of a checkpoint, and its tensors under the names of this package.

    Raises:
        CheckpointError: the file cannot be read, its layout is unknown, or its tensors are no
            finite floats.
    """
    from mim_plugins.checkpoints import convert, read_tensors, require_weights

    tensors = read_tensors(file)
    try:
        layout, converted = convert(tensors)
    except ValueError as error:
        raise CheckpointError(f"'{file}': {error}; give a checkpoint of one of these") from error
    require_weights(converted, file)
    return layout, converted


if __name__ == "__main__":
    main()
