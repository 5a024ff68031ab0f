"""Export of a model that takes pixels as an ONNX file."""

import copy
import importlib.util
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..errors import CheckpointError, MissingPackageError
from .from_pixels import FromPixels
from .program_check import check_size, largest_difference

TOLERANCE = 1e-4
"""Largest allowed difference from PyTorch, relative to the largest output."""
OPSET = 18
_PROTOBUF_LIMIT = 2**31 - 2**24


@torch.no_grad()
def export_onnx(
    module: FromPixels,
    target: Path,
    size: tuple[int, int],
    batch_size: int | None = None,
    opset: int = OPSET,
    check: bool = True,
) -> float | None:
    """Write an ONNX file after comparing it with PyTorch by onnxruntime.

    Its input ``images`` (B, C, H, W) has float32 values from 0 to 255, RGB if C is 3. Weights above
    the size limit of an ONNX file are written to ``TARGET.data``.

    Args:
        module: model in evaluation mode.
        target: file to write or replace.
        size: (H, W) of the images in pixels.
        batch_size: number of images; None for any number.
        opset: ONNX operator set.
        check: compare the outputs with PyTorch's.

    Returns:
        The largest difference from PyTorch, see :func:`largest_difference`; None without a check.

    Raises:
        CheckpointError: the installed torch cannot export the model, or the outputs differ.
        ConfigError: the model does not accept images of ``size``.
        MissingPackageError: a package is missing.
    """
    require_packages(check)
    module = copy.deepcopy(module).cpu()  # the inputs are on the CPU
    check_size(module, size)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".onnx-", dir=target.parent) as folder:
        unfinished = Path(folder) / target.name
        _write(module, size, unfinished, batch_size, opset)
        difference = None
        if check:
            batches = [1, 3] if batch_size is None else [batch_size]
            difference = largest_difference(module, _session(unfinished), size, batches)
            if not difference <= TOLERANCE:
                raise CheckpointError(
                    f"onnxruntime differs from PyTorch by {difference:.1e}; not written"
                )
        for file in Path(folder).iterdir():
            os.replace(file, target.parent / file.name)
    return difference


def require_packages(check: bool) -> None:
    """Check that the packages for ONNX are installed.

    Raises:
        MissingPackageError: one is missing.
    """
    for name in ("onnx", "onnxscript", *(["onnxruntime"] if check else [])):
        if importlib.util.find_spec(name) is None:
            way_out = (
                ", or use tools/model_converters/export_onnx.py --no-check"
                if name == "onnxruntime"
                else ""
            )
            raise MissingPackageError(
                f"no package {name}: pip install 'mim_plugins[onnx]'{way_out}"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's messages about its internals."""
    logger = logging.getLogger("onnxscript")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _write(
    module: FromPixels, size: tuple[int, int], out: Path, batch_size: int | None, opset: int
) -> None:
    # with one image, PyTorch would treat the batch size as a constant
    images = torch.zeros(batch_size or 2, module.channels, *size)
    weights = sum(p.numel() * p.element_size() for p in module.parameters())
    batch = {"images": {0: torch.export.Dim("batch")}}
    # the exporter's decomposition contradicts the memory layouts of fused attention kernels
    with sdpa_kernel(SDPBackend.MATH), _quiet():
        try:
            program = torch.onnx.export(
                module,
                (images,),
                dynamo=True,
                verbose=False,
                opset_version=opset,
                input_names=["images"],
                output_names=["features" if module.features else "logits"],
                dynamic_shapes=batch if batch_size is None else None,
            )
        except RuntimeError as error:  # from the exporter or a library it calls
            raise CheckpointError(
                f"torch {torch.__version__} does not export this model; torch 2.11 exports all"
                " encoders of mim_plugins"
            ) from error
        assert program is not None  # the dynamo exporter always returns a program
        program.save(str(out), external_data=weights > _PROTOBUF_LIMIT)


def _session(file: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the function of pixels that an ONNX file computes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
