"""Export of an encoder as a program of PyTorch that runs without this package."""

import copy
import io
import warnings
from pathlib import Path

import torch

from ..checkpoints.description import KEY
from ..checkpoints.writing import write_checkpoint
from ..errors import CheckpointError
from .encoder import Encoder
from .from_pixels import FromPixels
from .program_check import check_size, largest_difference

TOLERANCE = 1e-5
"""Largest allowed difference from the encoder, relative to the largest output."""


@torch.no_grad()
def export_program(
    encoder: Encoder,
    target: str | Path,
    size: tuple[int, int] | None = None,
    overwrite: bool = False,
) -> float:
    """Write a ``.pt2`` file that ``torch.export.load`` reads, and return its error.

    The program maps any number of images (B, C, H, W), float32 from 0 to 255 and RGB if C is 3, to
    pooled features (B, D); normalization is included. It is compared with the encoder before it is
    written. The description of the encoder is in its extra file ``mim_plugins.json``.

    Args:
        encoder: encoder with weights.
        target: file to write.
        size: (H, W) of the images in pixels; None for those of the encoder's preprocessing.
        overwrite: replace ``target`` if it exists.

    Returns:
        Largest difference from the encoder, see :func:`largest_difference`.

    Raises:
        CheckpointError: ``target`` does not end in ``.pt2``, exists or cannot be written, or this
            version of PyTorch cannot export the encoder.
        ConfigError: the encoder does not accept images of ``size``.
    """
    if Path(target).suffix != ".pt2":
        raise CheckpointError(f"'{target}': a program of torch.export must end in .pt2")
    module = FromPixels(copy.deepcopy(encoder).cpu(), features=True).eval()
    height, width = size or encoder.preprocessing.size
    check_size(module, (height, width))
    shape = (module.channels, height, width)
    batch = torch.export.Dim("batch")
    stream = io.BytesIO()
    try:
        # of two images, because PyTorch would treat a batch of one as a constant
        images = torch.randint(256, (2, *shape)).float()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                module, (images,), dynamic_shapes={"images": {0: batch}}, strict=False
            )
            extra = {f"{KEY}.json": encoder.description.to_json()}
            torch.export.save(program, stream, extra_files=extra)
            stream.seek(0)
            restored = torch.export.load(stream).module()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()
        raise CheckpointError(
            f"torch {torch.__version__} does not export this encoder for {height}x{width} pixels"
            f" ({reason[0] if reason else type(error).__name__}); torch 2.11 exports all encoders"
            " of mim_plugins"
        ) from error
    difference = largest_difference(module, restored, (height, width), (1, 3))
    if not difference <= TOLERANCE:
        raise CheckpointError(
            f"the exported program differs from the encoder by {difference:.1e} of the largest"
            f" feature, more than {TOLERANCE:g}; nothing was written"
        )
    write_checkpoint(target, lambda path: path.write_bytes(stream.getvalue()), overwrite)
    return difference
