"""Export a classifier, or the pooled features of an encoder, as an ONNX file.

The input is images (B, C, H, W), RGB if C is 3, as float32 numbers from 0 to 255 without
normalization. The output is the logits (B, classes) of a fine-tuned classifier. For a pre-training
config, and with --features, it is the mean (B, D) over the last tokens of the encoder. onnxruntime
compares the graph with PyTorch before the file is written to OUT.
"""

import argparse
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.logging import MMLogger
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from mim_plugins import get_model
from mim_plugins.apis.from_pixels import FromPixels
from mim_plugins.cli import add_config_options, user_errors
from mim_plugins.errors import BUILD_ERRORS

TOLERANCE = 1e-4
"""Largest allowed difference from PyTorch, relative to the largest output."""
_PROTOBUF_LIMIT = 2**31 - 2**24


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    """Return ``size`` as (H, W)."""
    sides = (size,) if isinstance(size, int) else tuple(size)
    return sides[0], sides[-1]


def is_classifier(model: nn.Module) -> bool:
    from mmpretrain.models import BaseClassifier

    return isinstance(model, BaseClassifier)


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress the exporter's messages about its internals."""
    level = logging.getLogger("onnxscript").level
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger("onnxscript").setLevel(level)


def export(module: FromPixels, size: tuple[int, int], out: Path, args: argparse.Namespace) -> None:
    """Write the graph for images of ``size`` (H, W).

    Weights above the size limit of an ONNX file go to ``out`` + '.data'.

    Raises:
        RuntimeError: the installed torch cannot export the model.
    """
    # with one image, PyTorch would treat the batch size as a constant
    batch = 2 if args.dynamic_batch else args.batch_size
    images = torch.zeros(batch, module.channels, *size)
    weights = sum(p.numel() * p.element_size() for p in module.parameters())
    # the exporter's decomposition contradicts the memory layouts of fused attention kernels
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), quiet():
        try:
            program = torch.onnx.export(
                module,
                (images,),
                dynamo=True,
                verbose=False,
                opset_version=args.opset,
                input_names=["images"],
                output_names=["features" if module.features else "logits"],
                dynamic_shapes={"images": {0: torch.export.Dim("batch")}}
                if args.dynamic_batch
                else None,
            )
        except RuntimeError as error:  # from the exporter or a library it calls
            raise RuntimeError(
                f"torch {torch.__version__} does not export this model; torch 2.11 exports all"
                " encoders of mim_plugins"
            ) from error
        assert program is not None  # the dynamo exporter always returns a program
        program.save(str(out), external_data=weights > _PROTOBUF_LIMIT)


@torch.no_grad()
def largest_difference(
    module: FromPixels, size: tuple[int, int], file: Path, batches: list[int]
) -> float:
    """Return the largest difference from PyTorch on random images, as ``TOLERANCE`` limits it."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    worst = 0.0
    for batch in batches:
        images = torch.randint(256, (batch, module.channels, *size)).float()
        expected = module(images)
        found = torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
        worst = max(worst, float((found - expected).abs().max() / expected.abs().max()))
    return worst


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config file, or a name such as mixmae/swin_b_finetune_100e")
    parser.add_argument("checkpoint", help="checkpoint of a run with this config")
    parser.add_argument("out", type=Path, help="file to write, OUT.onnx")
    parser.add_argument(
        "--features", action="store_true", help="export features even of a classifier"
    )
    parser.add_argument(
        "--img-size",
        type=int,
        nargs="+",
        metavar="PIXELS",
        help="side, or height and width (default: the backbone's)",
    )
    parser.add_argument("--opset", type=int, default=18, help="ONNX operator set (18)")
    parser.add_argument("--dynamic-batch", action="store_true", help="accept any number of images")
    parser.add_argument(
        "--batch-size", type=int, default=1, help="images per batch without --dynamic-batch (1)"
    )
    parser.add_argument(
        "--check",
        action=argparse.BooleanOptionalAction,
        default=True,
        help=f"compare with PyTorch by onnxruntime; tolerance {TOLERANCE:g} of the largest output",
    )
    parser.add_argument("--force", action="store_true", help="overwrite OUT")
    add_config_options(parser)
    args = parser.parse_args()
    if args.img_size and len(args.img_size) > 2:
        parser.error(f"--img-size {args.img_size} must be one side, or height and width")
    if args.out.suffix != ".onnx":
        parser.error(f"OUT '{args.out}' must end in .onnx")
    if args.out.exists() and not args.force:
        parser.error(f"'{args.out}' exists already; --force overwrites it")
    return args


def require_packages(check: bool) -> None:
    for name in ("onnx", "onnxscript", *(["onnxruntime"] if check else [])):
        if find_spec(name) is None:
            way_out = " or add --no-check" if name == "onnxruntime" else ""
            sys.exit(f"error: no package {name}: pip install 'mim_plugins[onnx]'{way_out}")


def main() -> None:
    args = parse_args()
    require_packages(args.check)
    MMLogger.get_instance("export_onnx", log_level="WARNING")
    with user_errors(also=BUILD_ERRORS):
        model = get_model(args.config, args.checkpoint, cfg_options=args.cfg_options)
        module = FromPixels(model, args.features or not is_classifier(model)).eval()
        size = _pair(args.img_size or getattr(model.backbone, "img_size", 224))
        with torch.no_grad():
            # a wrong image size has a clear error only here, not in the exporter
            module(torch.zeros(1, module.channels, *size))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".onnx-", dir=args.out.parent) as folder:
        unfinished = Path(folder) / args.out.name
        with user_errors(also=(RuntimeError,)):
            export(module, size, unfinished, args)
        if args.check:
            batches = [1, 3] if args.dynamic_batch else [args.batch_size]
            difference = largest_difference(module, size, unfinished, batches)
            if not difference <= TOLERANCE:
                sys.exit(
                    f"error: onnxruntime differs from PyTorch by {difference:.1e}; not written"
                )
            print(f"onnxruntime and PyTorch differ by {difference:.1e} of the largest output")
        for file in Path(folder).iterdir():
            os.replace(file, args.out.parent / file.name)
    images = "any number of" if args.dynamic_batch else str(args.batch_size)
    colors = "RGB" if module.channels == 3 else f"{module.channels} channels"
    print(
        f"{args.out}: {images} images of {size[0]}x{size[1]}, {colors} from 0 to 255, opset"
        f" {args.opset}"
    )


if __name__ == "__main__":
    main()
