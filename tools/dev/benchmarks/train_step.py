"""Measure time, memory and FLOPs of a pre-training step, for our methods and others.

mixmae: MixMAE against mmpretrain's MixMIM. mrmae: MR-MAE against MAE, a naive MR-MAE (teacher in
float32, autograd on) and mmpretrain's MAE. Every contestant runs in a separate process. Their steps
alternate, so a disturbance affects all of them.
"""

import argparse
import json
import sys
from pathlib import Path

from arguments import batch_size, image_side, positive
from common import COMPILED_WARMUP_STEPS, PARTS, ContestantError, compete
from contestants import CONTESTANTS, PEER, Setup
from meters import MIB, spread

from mim_plugins.cli import add_device_option


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--method", choices=sorted(CONTESTANTS), required=True)
    parser.add_argument("--arch", default="base", help="encoder: a name, or a JSON object")
    parser.add_argument("--batch", type=batch_size, default=8, help="images per step")
    parser.add_argument("--img-size", type=image_side, default=224, help="pixels, a multiple of 32")
    parser.add_argument(
        "--repeats", type=positive, default=10, help="timed steps of each contestant"
    )
    add_device_option(parser)
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--teacher", default="vit_base_patch16_224", help="timm's name of a ViT")
    parser.add_argument(
        "--teacher-dtype",
        choices=["float32", "bfloat16", "float16"],
        help="precision of MR-MAE's teacher (default: that of the student)",
    )
    parser.add_argument("--threads", type=positive, help="CPU threads of each contestant")
    parser.add_argument(
        "--compile",
        action="store_true",
        help="compile forward and backward pass of every contestant by torch.compile; the time of"
        " steps that compile is printed separately",
    )
    parser.add_argument(
        "--fused", action="store_true", help="use AdamW's fused kernel in every contestant"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    return parser.parse_args()


def summarize(raw: dict, setup: Setup) -> dict:
    """Return the JSON object: ratios to the peer, and the figures of all contestants."""
    rate = raw["matmul_flops_per_s"]
    contestants = {}
    for name, measured in raw["contestants"].items():
        seconds = {f"{part}_s": spread([s[part] for s in measured["steps"]]) for part in PARTS}
        total = spread([sum(step.values()) for step in measured["steps"]])
        contestants[name] = dict(
            step_s=total,
            **seconds,
            images_per_s=setup.batch / total["median"],
            peak_memory_mib=measured["peak_bytes"] / MIB,
            gflops=measured["flops"] / 1e9,
            mfu=measured["flops"] / total["median"] / rate,
            warmup_s=measured["warmup_s"],
            late_graphs=measured["late_graphs"],
        )
    ours, peer = contestants[CONTESTANTS[setup.method][0]], contestants[PEER]
    return dict(
        **vars(setup),
        images_per_s=ours["images_per_s"],
        peer_images_per_s=peer["images_per_s"],
        speedup=ours["images_per_s"] / peer["images_per_s"],
        memory_ratio=ours["peak_memory_mib"] / peer["peak_memory_mib"],
        mfu=ours["mfu"],
        matmul_gflops_per_s=rate / 1e9,
        contestants=contestants,
    )


def table(result: dict) -> str:
    """Format one line per contestant; the last two columns are ratios to MAE or to the peer."""
    contestants = result["contestants"]
    base = "MAE" if "MAE" in contestants else PEER
    columns = ["forward", "backward", "optim.", "step s", "(min - max)", "images/s"]
    columns += ["peak MiB", "GFLOP", "MFU %", f"time/{base}", f"GFLOP/{base}"]
    widths = [max(len(column), 8) + 1 for column in columns]
    widths[4] = 17
    lines = [f"{'':14}" + "".join(f"{c:>{w}}" for c, w in zip(columns, widths, strict=True))]
    for name, row in contestants.items():
        step = row["step_s"]
        cells = [f"{row[f'{part}_s']['median']:.3f}" for part in PARTS]
        cells += [f"{step['median']:.3f}", f"{step['min']:.3f} - {step['max']:.3f}"]
        cells += [f"{row['images_per_s']:.2f}", f"{row['peak_memory_mib']:.0f}"]
        cells += [f"{row['gflops']:.1f}", f"{100 * row['mfu']:.1f}"]
        cells.append(f"{step['median'] / contestants[base]['step_s']['median']:.2f}")
        cells.append(f"{row['gflops'] / contestants[base]['gflops']:.2f}")
        lines.append(
            f"{name:14}" + "".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))
        )
    return "\n".join(lines)


def main() -> None:
    args = parse_args()
    setup = Setup(**{name: getattr(args, name) for name in Setup.__dataclass_fields__})
    try:
        setup.sizes()
        result = summarize(
            compete(CONTESTANTS[args.method], setup, args.repeats, args.threads), setup
        )
    except (ContestantError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(
        f"{setup.method}, {setup.arch}, {setup.batch} images of {setup.img_size} px,"
        f" {setup.device}, {setup.dtype}; medians of {args.repeats} alternating steps;"
        f" matrix products reach {result['matmul_gflops_per_s']:.0f} GFLOP/s"
    )
    print(table(result))
    print(
        f"{CONTESTANTS[setup.method][0]} against {PEER}: speed {result['speedup']:.2f},"
        f" memory {result['memory_ratio']:.2f}"
    )
    if setup.compile:
        for name, row in result["contestants"].items():
            print(
                f"{name}: {row['warmup_s']:.0f} s for the first {COMPILED_WARMUP_STEPS} steps,"
                f" which compile it; {row['late_graphs']} graphs compiled after them"
            )
    if args.json:
        args.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
