"""Targets from the image models of timm."""

import difflib
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch

from ..checkpoints import fetch, is_torchscript
from ..errors import CheckpointError, ConfigError
from ..registry import MODELS
from .map_tower import timm_tower
from .target_generator import TargetGenerator
from .timm_tower import check_norm
from .weights import (
    check_file,
    check_tensors,
    download_error,
    existing_file,
    from_hub,
    import_library,
    reproducible_init,
    warn_random,
    weights_mismatch_error,
)

# weights that open_clip builds with QuickGELU, and timm only with GELU
_WRONG_ACTIVATION = {
    "vit_base_patch16_clip_224.dfn2b": "model_name='ViT-B-16' and pretrained='dfn2b'"
}


@MODELS.register_module()
class TimmTarget(TargetGenerator):
    """Patch features of a timm model: DINO, DINOv2, DINOv3, SigLIP, EVA, BEiT, MAE and others.

    Plain vision transformers of timm with any patch size, position embedding and registers have a
    grid of tokens. Of convolutional and hierarchical models (ConvNeXt, ResNet, Swin, Hiera,
    EfficientNet, MobileCLIP), the cells of a stage's feature map are the tokens, and the stride of
    the stage is the patch size.

    The tag of the weights determines the normalization constants and the activation. CLIP weights
    trained with QuickGELU are built with it, also under timm's names that would give them GELU.

    Args:
        model_name: name in timm, with the tag of the weights. A file requires the tag if the tags
            of the model differ in normalization or activation.
        pretrained: True for the weights of the tag, downloaded if necessary; the path of a file
            with them; or None for random weights, with a warning.
        features: ``'norm'`` for the output of the last norm, as timm's ``forward_features``
            returns it (models that average before their norm, such as BEiT and EVA-02, lack it and
            need ``normalize``); or the index of a block, counted from 0, or from -1 for the last,
            for its output without norm. Of a model with feature maps: ``'norm'`` for the last
            stage, or the index of a stage; see :class:`MapTower`.
        normalize, dtype: see :class:`TargetGenerator`.
        cache_dir: folder of downloads; None for the default of the library.

    Raises:
        ImportError: timm is not installed.
        FileNotFoundError: the weights are not cached and cannot be downloaded.
        ValueError: an unknown model, tag or feature, a model without feature map, a file that does
            not fit or needs a tag, or ``'norm'`` of a model without norm; see :func:`check_norm`.
    """

    def __init__(
        self,
        model_name: str = "vit_base_patch16_224.dino",
        pretrained: bool | str | None = True,
        features: int | str = "norm",
        normalize: bool = False,
        dtype: str | None = None,
        cache_dir: str | None = None,
    ) -> None:
        timm = import_library("timm", "TimmTarget")
        trunk = _build(timm, model_name, pretrained or None, cache_dir)
        constants = timm.data.resolve_model_data_config(trunk)
        tower = timm_tower(trunk, features, model_name)
        check_norm(tower, features, normalize, model_name)
        super().__init__(tower, constants["mean"], constants["std"], normalize, dtype)


def _build(timm: Any, name: str, pretrained: bool | str | None, cache_dir: str | None) -> Any:
    """Return the timm model with its weights."""
    repository, file = _published_at(timm, name, needed=pretrained is True)
    path = None
    if pretrained not in (None, True):
        path = existing_file(str(pretrained), "True for those of the tag")
        _require_tag(timm, name, path)
    name = _with_trained_activation(timm, name)
    if name in _WRONG_ACTIVATION:
        raise ConfigError(
            f"model_name='{name}': the weights were trained with QuickGELU, but timm has only a"
            f" model with GELU for them; use OpenCLIPTarget with {_WRONG_ACTIVATION[name]}"
        )
    with reproducible_init():
        if pretrained is None:
            warn_random("TimmTarget", name)
            return timm.create_model(name)
        if path is not None:
            return _load(timm, name, path)
        try:
            overlay = _download(timm, name, cache_dir)
            trunk = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay)
        except RuntimeError:
            raise  # the weights exist but do not fit
        except Exception as error:  # the hub client and sockets raise many types
            cause = error.__cause__ if isinstance(error, CheckpointError) else None
            raise download_error(name, repository, file, cause or error) from None
        check_tensors(trunk.state_dict(), name)
        trunk.pretrained_cfg["state_dict"] = None  # frees the second copy
        return trunk


def _download(timm: Any, name: str, cache_dir: str | None) -> dict[str, Any]:
    """Return the weights of a tag, or their file, as settings for timm; download if necessary."""
    config = timm.get_pretrained_cfg(name)
    file = (config.hf_hub_filename,) if config.hf_hub_filename else ()
    if config.file or config.state_dict:
        return {}
    if not config.hf_hub_id:
        folder = Path(cache_dir or Path(torch.hub.get_dir()) / "checkpoints").expanduser()
        path = folder / os.path.basename(urlsplit(config.url).path)
        path = fetch(config.url, check_file, path)
    elif config.custom_load:
        import huggingface_hub

        path = from_hub(
            lambda: huggingface_hub.hf_hub_download(config.hf_hub_id, *file, cache_dir=cache_dir),
            cache_dir,
        )
    else:
        load = timm.models.load_state_dict_from_hf
        state = from_hub(lambda: load(config.hf_hub_id, *file, cache_dir=cache_dir), cache_dir)
        return dict(state_dict=state)
    return dict(file=str(path), custom_load=bool(config.custom_load))


def _load(timm: Any, name: str, path: str) -> Any:
    """Return the timm model with the weights of a file, converted as timm converts its own."""
    if is_torchscript(path):
        raise CheckpointError(
            f"pretrained='{path}' is a TorchScript archive, which can run code, so it was not"
            " loaded; for OpenAI's CLIP files use dict(type='OpenCLIPTarget', pretrained=FILE)"
        )
    try:
        state = timm.models.load_state_dict(path, weights_only=True)
        check_tensors(state, path)
        trunk = timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay=dict(state_dict=state)
        )
    except CheckpointError:
        raise
    except Exception as error:  # the errors of foreign files are not documented
        raise weights_mismatch_error(path, name, error) from None
    check_tensors(trunk.state_dict(), path)
    trunk.pretrained_cfg["state_dict"] = None  # frees the second copy
    return trunk


def _require_tag(timm: Any, name: str, path: str) -> None:
    """Check that the name determines what a file does not contain: normalization and activation.

    Raises:
        ConfigError: the name has no tag, and the tags of the model differ in them.
    """
    arch, _, tag = name.partition(".")
    tagged = [] if tag else timm.list_models(f"{arch}.*", pretrained=True)
    facts = set()
    for each in tagged:
        config = timm.get_pretrained_cfg(each)
        facts.add((config.mean, config.std, _with_trained_activation(timm, each) == each))
    if len(facts) > 1:
        raise ConfigError(
            f"pretrained='{path}': the weights of {arch} differ in activation or normalization,"
            " which the file does not contain; set model_name to that of the file, one of"
            f" {', '.join(tagged)}"
        )


def _with_trained_activation(timm: Any, name: str) -> str:
    """Return timm's name of the same weights with the activation they were trained with.

    timm publishes CLIP weights of QuickGELU also under names that build GELU.
    """
    config = timm.get_pretrained_cfg(name)
    if "_clip_" not in name or config is None:
        return name
    arch = name.partition(".")[0].replace("_clip_", "_clip_quickgelu_")
    variant = f"{arch}.{config.tag}"
    return variant if timm.models.is_model_pretrained(variant) else name


def _published_at(timm: Any, name: str, needed: bool) -> tuple[str, str]:
    """Return the hub repository (empty for another server) and file of the weights ``name``.

    Raises:
        ValueError: an unknown model or tag, or no published weights although ``needed``.
    """
    arch = name.partition(".")[0]
    if not timm.is_model(arch):
        near = ", ".join(difflib.get_close_matches(arch, timm.list_models(), n=5))
        raise ValueError(
            f"model_name='{name}': timm {timm.__version__} has no model '{arch}'; see"
            f" timm.list_models(){', for instance ' + near if near else ''}"
        )
    tags = ", ".join(timm.list_models(f"{arch}.*", pretrained=True)) or "none"
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError:
        raise ValueError(f"model_name='{name}': timm has no such tag; it has {tags}") from None
    if config is not None and config.hf_hub_id:
        return config.hf_hub_id, config.hf_hub_filename or "model.safetensors"
    if config is not None and config.url:
        return "", os.path.basename(config.url)
    if needed:
        raise ValueError(
            f"model_name='{name}': no weights are published under this name; weights exist for"
            f" {tags}; pretrained='/path/to/file' loads your own"
        )
    return "", ""
