"""Count the floating-point operations of one training step of several pre-trainings."""

import argparse
import json
import re
from pathlib import Path

import torch
from calibrate import Training
from mmengine.registry import init_default_scope
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

_ENCODER = re.compile(r"\.backbone\.(encoder\.)?(patch_embed|(stages|blocks)\.\d+)$")


def step_flops(training: Training) -> dict[str, float]:
    """Return MFLOP per image, forward and backward: in total, and of the encoder."""
    batch = next(training.batches)
    model = training.model
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:  # the counter does not count fused attention
        losses = model(**model.data_preprocessor(batch, training=True), mode="loss")
        model.parse_losses(losses)[0].backward()
    images = training.loader.batch_size
    counts = counter.get_flop_counts()
    # the encoder itself is no entry, because its forward() does not run
    encoder = [flops for name, flops in counts.items() if _ENCODER.search(name)]
    parts = dict(total=[counts["Global"]], encoder=encoder)
    return {
        name: sum(sum(each.values()) for each in flops) / images / 1e6
        for name, flops in parts.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path, help="JSON file to write: MFLOP by config name")
    parser.add_argument("configs", type=Path, nargs="+")
    args = parser.parse_args()
    init_default_scope("mim_plugins")
    counts = {
        config.stem: step_flops(Training(config, torch.device("cpu"))) for config in args.configs
    }
    args.result.write_text(json.dumps(counts))
    print(counts)


if __name__ == "__main__":
    main()
