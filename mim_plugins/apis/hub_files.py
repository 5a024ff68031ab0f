"""Files of an encoder on the Hugging Face hub, which timm reads as well."""

import inspect
import json
import math
from pathlib import Path
from typing import Any

from ..backbones import MaskedViT
from ..backbones.arguments import resolve_arch
from ..checkpoints.description import KEY, Description, Preprocessing
from ..checkpoints.export import differences_in_timm, save_safetensors, to_timm
from ..checkpoints.writing import write_atomically
from ..errors import CheckpointError

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
_SCALE = 255  # our numbers are for pixels from 0 to 255, timm's for 0 to 1
_OWN, _VIT = "mim_plugins_encoder", "vit_base_patch16_224"


def write_hub_files(encoder: Any, folder: Path) -> None:
    """Write weights and ``config.json`` of an :class:`Encoder` to an existing folder.

    A plain ViT has timm's names, so ``timm.create_model("hf-hub:NAME")`` needs no other package.
    Other encoders are the model ``mim_plugins_encoder`` of :mod:`mim_plugins.hubs.timm`.
    """
    description: Description = encoder.description
    tensors = {name: each.contiguous() for name, each in encoder.backbone.state_dict().items()}
    is_timm = is_vit_of_timm(description)
    names = "timm" if is_timm else "safetensors"
    if is_timm:
        tensors = to_timm(tensors, description.backbone["type"])
    about = {"names": names, KEY: description.to_json()}
    write_atomically(folder / WEIGHTS, lambda path: save_safetensors(path, tensors, about))
    content = json.dumps(timm_config(encoder), indent=2, sort_keys=True) + "\n"
    write_atomically(folder / CONFIG, lambda path: path.write_text(content, encoding="utf-8"))


def is_vit_of_timm(description: Description) -> bool:
    """Return whether timm's ``VisionTransformer`` computes the same features.

    It reads only squares of its ``img_size``, so that must be the size of the described images, and
    a multiple of the patch size, because it does not pad.
    """
    backbone = description.backbone
    if backbone["type"] != "MaskedViT":
        return False
    defaults = inspect.signature(MaskedViT).parameters
    size, patch = (backbone.get(key, defaults[key].default) for key in ("img_size", "patch_size"))
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides | set(description.preprocessing.size)) != 1 or min(sides) % patch:
        return False
    arch = resolve_arch("MaskedViT", MaskedViT.arch_settings, backbone.get("arch", "base"))
    return not differences_in_timm(description, arch["depth"])


def crop_in_timm(description: Description) -> str:
    """Return how the images that timm prepares differ from the described ones, or ``""``."""
    given = description.preprocessing
    covered = _covered_in_timm(given.size, _crop_fraction(given))
    if given.channel_order == "bgr" or covered == given.resize:
        return ""
    height, width = given.size
    return (
        f"timm resizes images in proportion to the crop of {height} x {width} pixels, and not"
        f" {given.resizing}; resize and crop images without timm.data.create_transform"
    )


def _covered_in_timm(crop: tuple[int, int], fraction: float) -> tuple[int, int]:
    """Return (H, W) that images cover after resizing by timm."""
    return math.floor(crop[0] / fraction), math.floor(crop[1] / fraction)


def _crop_fraction(given: Preprocessing) -> float:
    """Return the fraction with which timm resizes as described, if there is one."""
    side, resized = max(zip(given.size, given.resize, strict=True))
    fraction = side / resized
    is_exact = _covered_in_timm(given.size, fraction) == given.resize
    return fraction if is_exact else math.nextafter(fraction, 0)


def timm_config(encoder: Any) -> dict[str, Any]:
    """Return the content of the ``config.json`` of timm for an :class:`Encoder`.

    timm reads RGB images, so the file of an encoder for BGR images describes no model.
    """
    description: Description = encoder.description
    given, backbone = description.preprocessing, encoder.backbone
    if given.channel_order == "bgr":
        return dict(library_name="mim_plugins")
    preprocessing = dict(
        input_size=[given.channels, *given.size],
        interpolation=given.interpolation,
        crop_pct=_crop_fraction(given),
        crop_mode="center",
        mean=[each / _SCALE for each in given.mean],
        std=[each / _SCALE for each in given.std],
        num_classes=0,
        classifier="head",
        pool_size=None,
        fixed_input_size=False,
    )
    if not is_vit_of_timm(description):
        architecture = _OWN
        arguments: dict[str, Any] = dict(backbone=description.backbone)
    else:
        architecture = _VIT
        preprocessing["first_conv"] = "patch_embed.proj"
        arguments = dict(
            img_size=backbone.img_size[0],
            patch_size=backbone.encoder_stride,
            in_chans=backbone.in_channels,
            embed_dim=backbone.embed_dims,
            depth=len(backbone.blocks),
            num_heads=backbone.settings["num_heads"],
            mlp_ratio=description.backbone.get("mlp_ratio", 4.0),
            class_token=backbone.cls_token is not None,
            global_pool="avg",
            fc_norm=backbone.out_type == "avg_featmap",
        )
    return dict(
        architecture=architecture,
        num_classes=0,
        num_features=backbone.out_channels,
        pretrained_cfg=preprocessing,
        model_args=arguments,
    )


def download(name: str, file: str, **options: Any) -> Path:
    """Download a file of a repository on the Hugging Face hub, unless it is in the cache.

    Raises:
        CheckpointError: it does not exist, or the hub cannot be reached.
    """
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(name, file, **options))
    except Exception as error:  # of huggingface_hub and of its HTTP client
        reason = str(error).strip().splitlines()
        raise CheckpointError(
            f"'{name}' on the Hugging Face hub: {file} cannot be downloaded"
            f" ({reason[0] if reason else type(error).__name__}); check name, network and token"
        ) from error
