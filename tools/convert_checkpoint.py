"""Convert a public checkpoint, decoder included, to this package's names.

Recognised by their keys: MixMIM/MixMAE, ConvMAE/MCMAE and MAE checkpoints of the authors, and
MixMIM and MAE of mmpretrain, pre-training and fine-tuned. The result loads with ``load_from``. An
encoder alone needs no conversion: ``init_cfg=dict(type='Pretrained', checkpoint=SRC,
prefix='backbone.')`` reads SRC as it is.
"""

import argparse
import sys

import torch

from mim_plugins.checkpoints import CheckpointError, convert, read_tensors, write_atomically


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("src", help="checkpoint: .pth, .safetensors or a reference .npz")
    parser.add_argument("dst", help="file to write: .pth")
    parser.add_argument("--force", action="store_true", help="overwrite DST")
    args = parser.parse_args()
    try:
        tensors = read_tensors(args.src)
    except CheckpointError as error:
        sys.exit(f"error: {error}")
    try:
        layout, state_dict = convert(tensors)
        content = dict(meta=dict(converted_from=layout.name), state_dict=state_dict)
        write_atomically(args.dst, lambda path: torch.save(content, path), args.force)
    except CheckpointError as error:
        sys.exit(f"error: {error}")
    except ValueError as error:
        sys.exit(f"error: '{args.src}': {error}; give a checkpoint of one of these")
    parts = sorted({name.split(".")[0] for name in state_dict})
    print(f"{layout.name}: {len(state_dict)} tensors ({', '.join(parts)}) -> {args.dst}")


if __name__ == "__main__":
    main()
