"""Convert a public checkpoint to this package's names.

Recognised by their keys: MixMIM/MixMAE checkpoints of the authors (pre-training and fine-tuned)
and of mmpretrain. The result loads with ``load_from`` or
``init_cfg=dict(type='Pretrained', checkpoint=DST, prefix='backbone.')``.
"""

import argparse
import os
import sys

import torch

from mim_plugins.checkpoints import convert, read_tensors


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("src", help="checkpoint: .pth, .safetensors or a reference .npz")
    parser.add_argument("dst", help="file to write: .pth")
    args = parser.parse_args()
    try:
        layout, state_dict = convert(read_tensors(args.src))
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"error: {args.src}: {error}")
    temporary = f"{args.dst}.tmp"
    torch.save(dict(meta=dict(converted_from=layout.name), state_dict=state_dict), temporary)
    os.replace(temporary, args.dst)
    parts = sorted({name.split(".")[0] for name in state_dict})
    print(f"{layout.name}: {len(state_dict)} tensors ({', '.join(parts)}) -> {args.dst}")


if __name__ == "__main__":
    main()
