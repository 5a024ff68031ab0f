"""Export of an encoder to a file that describes itself."""

from pathlib import Path

from mmengine.config import Config

from ..checkpoints import Exported, export_backbone, fetch, is_web_address, read_tensors
from ..checkpoints.selection import BACKBONE
from ..errors import CheckpointError
from .encoder import build_encoder
from .encoder_description import describe_checkpoint


def export_encoder(
    source: str | Path,
    target: str | Path,
    file_format: str = "safetensors",
    prefix: str = BACKBONE,
    overwrite: bool = False,
    config: Config | None = None,
) -> Exported:
    """Write the encoder of a checkpoint to a separate file, with its description if it is known.

    Args:
        source: see :func:`export_backbone`, as the arguments below.
        target: see ``source``.
        file_format: see ``source``.
        prefix: see ``source``.
        overwrite: see ``source``.
        config: config of the model; by default the one in ``source``.

    Raises:
        CheckpointError: see :func:`export_backbone`, or the weights do not fit ``config``.
    """
    if "://" in str(source) and not is_web_address(source):  # no local copy to describe
        return export_backbone(source, target, file_format, prefix, overwrite)
    file = fetch(str(source), read_tensors) if is_web_address(source) else Path(source).expanduser()
    tensors = read_tensors(file)
    description = describe_checkpoint(file, config)
    own = None
    if config is not None:
        if description is None:
            raise CheckpointError(f"config '{config.filename}' has no backbone of mim_plugins")
        own = build_encoder(description, tensors, source, prefix).backbone.state_dict()
    return export_backbone(file, target, file_format, prefix, overwrite, description, own)
