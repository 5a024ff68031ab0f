"""Targets from the image models of timm."""

import difflib
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch

from ..checkpoints import fetch, is_torchscript
from ..errors import CheckpointError
from ..registry import MODELS
from .target_generator import TargetGenerator
from .timm_tower import TimmTower
from .weights import (
    check_file,
    check_tensors,
    download_error,
    existing_file,
    fast_hub,
    from_hub,
    import_library,
    reproducible_init,
    warn_random,
    weights_mismatch_error,
)


@MODELS.register_module()
class TimmTarget(TargetGenerator):
    """Patch features of a timm model: DINO, DINOv2, DINOv3, SigLIP, EVA, BEiT, MAE and others.

    Any plain vision transformer of timm serves, whatever its patch size, position embedding and
    registers; convolutional and hierarchical models do not.

    Args:
        model_name: timm's name, with the tag of its weights.
        pretrained: True to load, and download if need be, the weights of the tag; the path of a
            file that holds them; or None for random weights, with a warning.
        features: ``'norm'``: after the model's last norm, as timm's ``forward_features`` returns
            them (models that average before their norm, such as BEiT, have none there); or the
            index of a block, from 0 or backwards from -1: that block's output, without norm.
        normalize, dtype: see :class:`TargetGenerator`.
        cache_dir: where downloads are kept; None for the library's own place.

    Raises:
        ImportError: timm is not installed.
        FileNotFoundError: the weights are neither at hand nor to be downloaded.
        ValueError: there is no such model, tag or feature, the model has no token grid, or the
            file does not fit.
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
        tower = TimmTower(trunk, features, model_name)
        super().__init__(tower, constants["mean"], constants["std"], normalize, dtype)


def _build(timm: Any, name: str, pretrained: bool | str | None, cache_dir: str | None) -> Any:
    """The timm model with its weights."""
    repository, file = _published_at(timm, name, needed=pretrained is True)
    with reproducible_init():
        if pretrained is None:
            warn_random("TimmTarget", name)
            return timm.create_model(name)
        if pretrained is not True:
            return _load(timm, name, existing_file(str(pretrained), "True for those of the tag"))
        try:
            _download(timm, name, cache_dir)
            with fast_hub():  # what is in the cache now
                trunk = timm.create_model(name, pretrained=True, cache_dir=cache_dir)
        except RuntimeError:
            raise  # the weights are there, and do not fit
        except Exception as error:  # the hub's client and sockets have errors of their own
            cause = error.__cause__ if isinstance(error, CheckpointError) else None
            raise download_error(name, repository, file, cause or error) from None
        check_tensors(trunk.state_dict(), name)
        return trunk


def _download(timm: Any, name: str, cache_dir: str | None) -> None:
    """Have the weights of a tag in timm's cache; timm would build the model meanwhile."""
    config = timm.get_pretrained_cfg(name)
    file = (config.hf_hub_filename,) if config.hf_hub_filename else ()
    if config.file or config.state_dict:
        return
    if not config.hf_hub_id:
        folder = Path(cache_dir or Path(torch.hub.get_dir()) / "checkpoints").expanduser()
        fetch(config.url, check_file, folder / os.path.basename(urlsplit(config.url).path))
    elif config.custom_load:
        import huggingface_hub

        from_hub(
            lambda: huggingface_hub.hf_hub_download(config.hf_hub_id, *file, cache_dir=cache_dir),
            cache_dir,
        )
    else:
        load = timm.models.load_state_dict_from_hf
        from_hub(lambda: load(config.hf_hub_id, *file, cache_dir=cache_dir), cache_dir)


def _load(timm: Any, name: str, path: str) -> Any:
    """The timm model with weights of a file, converted as timm converts those of the tag."""
    if is_torchscript(path):
        raise CheckpointError(
            f"pretrained='{path}' is a TorchScript archive, a program that may do more than hold"
            " weights, so it was not loaded; OpenAI's CLIP files serve as"
            " dict(type='OpenCLIPTarget', pretrained=FILE)"
        )
    try:
        state = timm.models.load_state_dict(path, weights_only=True)
        check_tensors(state, path)
        trunk = timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay=dict(state_dict=state)
        )
    except CheckpointError:
        raise
    except Exception as error:  # what a strange file raises is not documented
        raise weights_mismatch_error(path, name, error) from None
    check_tensors(trunk.state_dict(), path)
    trunk.pretrained_cfg["state_dict"] = None  # or the weights are held twice
    return trunk


def _published_at(timm: Any, name: str, needed: bool) -> tuple[str, str]:
    """The hub's repository, empty for another server, and the file of the weights ``name``.

    Raises:
        ValueError: unknown model or tag, or none is published although ``needed``.
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
            f"model_name='{name}': no weights are published under this name; those with weights"
            f" are {tags}; pretrained='/path/to/file' loads your own"
        )
    return "", ""
