"""Encoders with their preprocessing, from files that describe themselves."""

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from ..checkpoints import describe_mismatch, fetch, is_web_address, load_strictly, read_tensors
from ..checkpoints.description import KEY, Description
from ..checkpoints.export import save_safetensors
from ..checkpoints.selection import BACKBONE, select_encoder
from ..checkpoints.writing import write_checkpoint
from ..data_preprocessors import MixDataPreprocessor
from ..errors import BUILD_ERRORS, CheckpointError
from ..layers.pooling import pooled_features
from ..registry import MODELS, SCOPE
from .encoder_description import describe_checkpoint
from .hub_files import WEIGHTS, download, write_hub_files
from .hub_mixin import HubMixin
from .model_card import model_card

_LARGEST = 2**33  # bytes of weights and of indices derived from sizes
_WRONG_SIZES = (*BUILD_ERRORS, RuntimeError, ZeroDivisionError, OverflowError, MemoryError)


class Encoder(nn.Module, HubMixin):
    """Backbone with the preprocessing of its images.

    :func:`load` builds it from a file. ``save_pretrained``, ``from_pretrained`` and ``push_to_hub``
    are those of the Hugging Face hub (``pip install 'mim_plugins[hub]'``).

    Args:
        description: how to build the backbone and how to prepare images.

    Attributes:
        backbone: backbone of this package, with random weights at first.
        data_preprocessor: normalization, for images as the loading transforms return them (BGR).
    """

    def __init__(self, description: Description) -> None:
        super().__init__()
        self.description = description
        self.preprocessing = given = description.preprocessing
        arguments = dict(description.backbone)
        # not MODELS.build, which would also read the scope, and import its package
        kind: Any = MODELS.get(f"{SCOPE}.{arguments.pop('type')}")
        self.backbone: Any = kind(**arguments)
        self.data_preprocessor = MixDataPreprocessor(
            mean=given.mean, std=given.std, bgr_to_rgb=given.channel_order == "rgb"
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return pooled features (B, D) of normalized images (B, C, H, W)."""
        return pooled_features(self.backbone, images)

    def save(self, path: str | Path, overwrite: bool = False) -> None:
        """Write a safetensors file that :func:`load` reads.

        Raises:
            CheckpointError: it exists and ``overwrite`` is False, or it cannot be written.
        """
        tensors = {name: each.contiguous() for name, each in self.backbone.state_dict().items()}
        about = {"names": "safetensors", KEY: self.description.to_json()}
        write_checkpoint(path, lambda file: save_safetensors(file, tensors, about), overwrite)

    def generate_model_card(self, figures: dict[str, float | str] | None = None) -> Any:
        """Return the model card; ``figures`` are own measurements by name."""
        return model_card(self.description, figures or {})

    def _save_pretrained(self, save_directory: Path) -> None:
        write_hub_files(self, save_directory)

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        map_location: str = "cpu",
        **_: Any,
    ) -> "Encoder":
        if Path(model_id).is_dir():
            return load(model_id, map_location)
        file = download(
            model_id,
            WEIGHTS,
            revision=revision,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
        )
        return load(file, map_location)


def load(
    path: str | Path,
    device: str | torch.device = "cpu",
    config: Config | None = None,
    prefix: str = BACKBONE,
) -> Encoder:
    """Build the encoder of a file that describes itself, with its weights, in evaluation mode.

    The description is checked, and nothing in the file is executed.

    Args:
        path: file of ``mim-plugins export``, checkpoint of a run with this package, folder of the
            Hugging Face hub, or an ``https://`` address of a file.
        device: device of the encoder.
        config: config of the model, see :func:`read_config`; by default the one in the file.
        prefix: beginning of the encoder's names in a file that contains several.

    Raises:
        CheckpointError: the file cannot be read, does not describe an encoder of this package, or
            its weights do not fit the description.

    Example:
        >>> import mim_plugins, tempfile, torch
        >>> from mim_plugins.apis import Encoder, describe_config
        >>> arch = dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2))
        >>> backbone = dict(type="MaskedSwin", arch=arch, img_size=32, window_size=4)
        >>> encoder = Encoder(describe_config(dict(model=dict(backbone=backbone))))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     encoder.save(f"{folder}/encoder.safetensors")
        ...     same = mim_plugins.load(f"{folder}/encoder.safetensors")
        >>> mim_plugins.extract_features(same, torch.zeros(2, 3, 48, 64)).pooled.shape
        torch.Size([2, 16])
    """
    if is_web_address(path):
        file = fetch(str(path), read_tensors)
    else:
        file = Path(path).expanduser()
        file = file / WEIGHTS if file.is_dir() else file
    tensors = read_tensors(file)
    description = describe_checkpoint(file, config)
    if description is None and config is not None:
        raise CheckpointError(f"config '{config.filename}' has no backbone of mim_plugins")
    if description is None:
        raise CheckpointError(
            f"'{path}' does not describe its encoder: export it with mim-plugins export CHECKPOINT"
            " OUT --config CONFIG, or load its weights with init_cfg"
        )
    return build_encoder(description, tensors, path, prefix).to(device)


def build_encoder(
    description: Description,
    tensors: dict[str, Tensor],
    source: str | Path,
    prefix: str = BACKBONE,
) -> Encoder:
    """Build the encoder of a description with the weights in ``tensors``, in evaluation mode.

    Args:
        description: how to build the backbone and how to prepare images.
        tensors: the encoder's tensors under any names that :func:`load_pretrained` accepts.
        source: name of the file, for messages.
        prefix: beginning of the encoder's names.

    Raises:
        CheckpointError: no encoder can be built, or it would be too large, or its tensors differ.
    """
    name = description.backbone["type"]
    try:
        with torch.device("meta"):
            outline = Encoder(description)
    except _WRONG_SIZES as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"the metadata of '{source}' cannot be used: {name} cannot be built ({reason}); export"
            " the encoder again"
        ) from error
    own = outline.backbone.state_dict()

    def fit(names: set[str]) -> float:
        return len(names & set(own)) / len(own)

    found = select_encoder(tensors, prefix, fit, str(source), name, own)
    problems = describe_mismatch(own, found.tensors, allow_resize=False)
    if problems:
        raise CheckpointError(
            f"the weights in '{source}' do not fit its description of {name}: {problems}; export"
            " the encoder again, with the config of its run"
        )
    held = [*outline.parameters(), *outline.buffers()]
    size = sum(each.numel() * each.element_size() for each in held)
    if size > _LARGEST:
        raise CheckpointError(
            f"'{source}' describes {name} with {size / 2**30:.0f} GiB, more than"
            f" {_LARGEST / 2**30:.0f}: load its weights with init_cfg"
        )
    encoder = Encoder(description)
    load_strictly(encoder.backbone, found.tensors, source)
    return encoder.eval()
