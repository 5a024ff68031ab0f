"""Export of an encoder to a file of its tensors, under our names or timm's."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import CheckpointError
from .description import KEY, Description
from .reading import read_tensors
from .selection import BACKBONE, backbone_class, select_encoder
from .tensor_check import require_weights
from .writing import write_checkpoint

FORMATS = ("safetensors", "timm", "torch")
_FORMAT_VERSION = "1"

_BLOCK = r"\d+\.(?:norm[12]|attn\.(?:qkv|proj)|mlp\.fc[12])\.(?:weight|bias)"
# our names, and timm's names as replacements
_VIT_TO_TIMM = (
    (r"patch_embed\.(\w+)", r"patch_embed.proj.\1"),
    (rf"(cls_token|pos_embed|blocks\.{_BLOCK}|(?:fc_)?norm\.\w+)", r"\1"),
)
_SWIN_TO_TIMM = (
    (r"(patch_embed\.(?:proj|norm)\.\w+|norm\.\w+)", r"\1"),
    (r"stages\.(\d+\.downsample\.(?:norm|reduction)\.\w+)", r"layers.\1"),
    (rf"stages\.(\d+\.blocks\.{_BLOCK})", r"layers.\1"),
    (r"stages\.(\d+\.blocks\.\d+\.attn\.relative_position_bias_table)", r"layers.\1"),
    (r"(pos_embed|out_norms\..*)", r"\1"),  # unknown to timm
)


class Exported(NamedTuple):
    """Content of an exported file."""

    backbone: str | None
    """Class of the encoder, if known."""
    origin: str
    """Prefix or layout under which the encoder was found in the source."""
    tensors: dict[str, Tensor]
    """The file's tensors."""
    foreign: tuple[str, ...]
    """Names of tensors that timm's model does not have."""
    is_described: bool = False
    """Whether the file contains a description, so that :func:`mim_plugins.load` can read it."""
    differences: tuple[str, ...] = ()
    """Reasons why timm's model of the file returns other features, see
    :func:`differences_in_timm`."""


def export_backbone(
    source: str | Path,
    target: str | Path,
    file_format: str = "safetensors",
    prefix: str = BACKBONE,
    overwrite: bool = False,
    description: Description | None = None,
    own: Mapping[str, Tensor] | None = None,
) -> Exported:
    """Write the encoder of a checkpoint to a separate file; no value changes.

    Args:
        source: a checkpoint of pre-training or fine-tuning, or any that :func:`convert` supports.
        target: file to write.
        file_format: ``'safetensors'`` and ``'torch'`` keep our names; ``'timm'`` renames the
            tensors of ``MaskedViT`` and ``MaskedSwin`` as in timm and writes a safetensors file if
            ``target`` ends in ``.safetensors``, else a PyTorch file.
        prefix: beginning of the encoder's names in ``source``.
        overwrite: replace ``target`` if it exists.
        description: written to the file's metadata, so that :func:`mim_plugins.load` needs nothing
            else; except PyTorch files of format ``'timm'``, which have none.
        own: tensors of the encoder's model if it is known, see :func:`convert`.

    Raises:
        CheckpointError: ``source`` cannot be read, contains no encoder or no usable weights, timm
            has no such model, or ``target`` cannot be written.
    """
    if file_format not in FORMATS:
        raise CheckpointError(f"format {file_format!r} must be one of {FORMATS}")
    is_safetensors = Path(target).suffix == ".safetensors"
    if file_format == "safetensors" and not is_safetensors:
        raise CheckpointError(f"'{target}': a file of format safetensors must end in .safetensors")
    if file_format == "torch" and is_safetensors:
        raise CheckpointError(f"'{target}': a file of format torch must not end in .safetensors")
    encoder = select_encoder(
        read_tensors(source),
        prefix,
        lambda names: 1.0 if backbone_class(names) else 0.0,
        str(source),
        "any backbone of mim_plugins",
        own,
    )
    require_weights(encoder.tensors, source)
    backbone = backbone_class(encoder.tensors)
    tensors = {name: tensor.detach().contiguous() for name, tensor in encoder.tensors.items()}
    if file_format == "timm":
        tensors = to_timm(tensors, backbone)
    about = dict(mim_plugins_format=_FORMAT_VERSION, names=file_format, source=Path(source).name)
    if backbone is not None:
        about["backbone"] = backbone
    if description is not None:
        about[KEY] = description.to_json()
    # timm reads the names at the top level of the file
    content = tensors if file_format == "timm" else dict(meta=about, state_dict=tensors)

    def write(path: Path) -> None:
        if is_safetensors:
            save_safetensors(path, tensors, about)
        else:
            torch.save(content, path)

    write_checkpoint(target, write, overwrite)
    has_foreign = file_format == "timm" and backbone == "MaskedSwin"
    foreign = [name for name in tensors if name.startswith(("pos_embed", "out_norms."))]
    return Exported(
        backbone,
        encoder.origin,
        tensors,
        foreign=tuple(foreign) if has_foreign else (),
        is_described=KEY in about and (is_safetensors or file_format != "timm"),
        differences=(
            differences_in_timm(description, _blocks(tensors))
            if description and file_format == "timm"
            else ()
        ),
    )


def _blocks(names: Iterable[str]) -> int:
    """Return the number of blocks of a plain ViT with these names of tensors."""
    return len({name.split(".")[1] for name in names if name.startswith("blocks.")})


def differences_in_timm(description: Description, blocks: int) -> tuple[str, ...]:
    """Return why timm's model with the tensors of an encoder returns other features.

    Args:
        description: description of the encoder.
        blocks: number of Transformer blocks if it is a plain ViT.
    """
    window = description.backbone.get("window_size")
    outputs = description.backbone.get("out_indices", -1)
    last = outputs if isinstance(outputs, int) else outputs[-1]
    found = []
    if description.preprocessing.channel_order == "bgr":
        found.append(
            "timm's models get RGB images, but this encoder reads BGR: reverse the channels"
            " (images.flip(1)), and give mean and std in the order of BGR"
        )
    if description.backbone["type"] == "MaskedViT" and window is not None:
        found.append(
            "timm's VisionTransformer attends to all tokens, but this encoder to windows of"
            f" {window} x {window} tokens, so features differ; --format huggingface writes a model"
            " for timm with the same features"
        )
    if description.backbone["type"] == "MaskedViT" and last not in (-1, blocks - 1):
        found.append(
            "timm's VisionTransformer returns the output of its last block, but this encoder"
            f" (out_indices={outputs}) that of another one, so features differ; --format"
            " huggingface writes a model for timm with the same features"
        )
    return tuple(found)


def to_timm(tensors: dict[str, Tensor], backbone: str | None) -> dict[str, Tensor]:
    """Return an encoder's tensors under timm's names.

    A ``MaskedViT`` becomes a ``VisionTransformer`` with the same outputs; the position embedding of
    its [CLS] token is zero. timm's ``SwinTransformer`` has neither a position embedding nor norms
    between the stages: ``pos_embed`` (1, H, W, C) and ``out_norms`` keep names and shapes. It
    shifts windows, as ``MaskedSwin`` does with ``shift_windows=True``.

    Raises:
        CheckpointError: timm has no such model, or its model has no such tensor.
    """
    if backbone not in ("MaskedViT", "MaskedSwin"):
        raise CheckpointError(
            f"timm has no model for {backbone or 'an encoder of another package'}: export with"
            " --format safetensors; only MaskedViT and MaskedSwin can be renamed for timm"
        )
    rules = _VIT_TO_TIMM if backbone == "MaskedViT" else _SWIN_TO_TIMM
    renamed, unknown = {}, []
    for name, tensor in tensors.items():
        for pattern, replacement in rules:
            match = re.fullmatch(pattern, name)
            if match:
                renamed[match.expand(replacement)] = tensor
                break
        else:
            unknown.append(name)
    if unknown:
        raise CheckpointError(
            f"timm's model for {backbone} has no tensors {', '.join(unknown)}: export with"
            " --format safetensors"
        )
    if backbone == "MaskedViT":
        renamed["pos_embed"] = _tokens_from_grid(renamed["pos_embed"], "cls_token" in renamed)
    return renamed


def _tokens_from_grid(position: Tensor, has_cls_token: bool) -> Tensor:
    """Flatten (1, H, W, D) to (1, L, D), with a zero row for a [CLS] token first if it exists."""
    _, height, width, _ = position.shape
    if height != width:
        raise CheckpointError(
            f"the position embedding's grid is {height}x{width}; timm's format does not store the"
            " grid, so only a square one can be read back: export with --format safetensors"
        )
    return F.pad(position.flatten(1, 2), (0, 0, 1, 0) if has_cls_token else (0, 0))


def save_safetensors(path: Path, tensors: dict[str, Tensor], about: dict[str, str]) -> None:
    """Write tensors with metadata.

    Raises:
        CheckpointError: safetensors is not installed.
    """
    try:
        from safetensors.torch import save_file
    except ImportError as error:
        raise CheckpointError(
            "writing this file needs the package safetensors: pip install safetensors, or export"
            " with --format torch"
        ) from error
    save_file(tensors, path, metadata={"format": "pt", **about})
