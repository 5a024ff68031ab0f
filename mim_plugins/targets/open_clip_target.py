"""Targets from the image towers of open_clip."""

import difflib
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..checkpoints import fetch, is_torchscript
from ..errors import CheckpointError
from ..registry import MODELS
from .clip_tower import ClipTower
from .map_tower import no_map_error, open_clip_resnet_tower, timm_tower
from .openai_archive import TAG, digest_in, read_openai_archive, require_digest
from .target_generator import TargetGenerator
from .timm_tower import check_norm
from .tower import Tower
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

# file of a hub repository that a tag gives without a file
_HUB_FILE = "open_clip_model.safetensors"


@MODELS.register_module()
class OpenCLIPTarget(TargetGenerator):
    """Patch features of an open_clip image tower, or cells of its feature map.

    The tag of the weights determines the activation (OpenAI's weights need QuickGELU) and the
    normalization constants. A file does not contain them. They come from the tags of the model if
    all tags agree; otherwise ``tag`` must name the weights in the file.

    Args:
        model_name: name in open_clip, such as ``'ViT-B-16'``.
        pretrained: open_clip's tag of the weights, downloaded if necessary; the path of a file
            with them, also of OpenAI's TorchScript archive; or None for random weights, with a
            warning.
        features: ``'projection'`` for every patch token after the last norm and the projection to
            the space shared with text; ``'norm'`` for the output of the last norm; or the index
            of a block, counted from 0, or from -1 for the last, for its output without norm. Of a
            tower with feature maps: ``'norm'`` or the index of a stage; see :class:`MapTower`.
        tag: tag of the weights in the file ``pretrained``.
        normalize, dtype: see :class:`TargetGenerator`.
        cache_dir: folder of downloads; None for the default of the library.

    Raises:
        ImportError: open_clip is not installed.
        FileNotFoundError: the weights are not cached and cannot be downloaded.
        ValueError: an unknown model, tag or feature, a tower without token grid or feature map, a
            file that does not fit, a file for which ``tag`` is needed, or ``'norm'`` of a tower
            without norm; see :func:`check_norm`.
    """

    def __init__(
        self,
        model_name: str = "ViT-B-16",
        pretrained: str | None = "openai",
        features: int | str = "projection",
        tag: str | None = None,
        normalize: bool = False,
        dtype: str | None = None,
        cache_dir: str | None = None,
    ) -> None:
        open_clip = import_library("open_clip", "OpenCLIPTarget")
        model_name = model_name.replace("/", "-")
        _check_name(open_clip, model_name, tag)
        with reproducible_init():
            visual = _build(open_clip, model_name, pretrained, tag, cache_dir)
        tower = _tower(open_clip, visual, features, model_name)
        check_norm(tower, features, normalize, model_name)
        constants = visual.preprocess_cfg
        super().__init__(tower, constants["mean"], constants["std"], normalize, dtype)


def _check_name(open_clip: Any, name: str, tag: str | None) -> None:
    names = open_clip.list_models()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
        raise ValueError(
            f"model_name='{name}': open_clip {open_clip.__version__} has no such model; see"
            f" open_clip.list_models(){', for instance ' + ', '.join(near) if near else ''}"
        )
    tags = open_clip.list_pretrained_tags_by_model(name)
    if tag is not None and not open_clip.is_pretrained_cfg(name, tag):
        raise ValueError(f"tag='{tag}': open_clip's tags of {name} are {', '.join(tags) or 'none'}")


def _build(
    open_clip: Any, name: str, pretrained: str | None, tag: str | None, cache_dir: str | None
) -> Any:
    """Return the image tower with its weights and ``preprocess_cfg``."""
    if pretrained is None:
        warn_random("OpenCLIPTarget", name)
        return _create(open_clip, name, None, _facts(open_clip, name, tag, path=None))
    if open_clip.is_pretrained_cfg(name, pretrained):
        if tag not in (None, pretrained):
            raise ValueError(
                f"tag='{tag}' contradicts pretrained='{pretrained}'; set tag only with a file"
            )
        config = open_clip.get_pretrained_cfg(name, pretrained)
        path, facts = _download(open_clip, name, pretrained, cache_dir), config
    else:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "there are none"
        path = existing_file(pretrained, f"one of open_clip's tags of {name} ({tags})")
        facts = {} if is_torchscript(path) else _facts(open_clip, name, tag, path)
    if is_torchscript(path):
        return _from_archive(open_clip, name, tag, path)
    check_file(path)
    return _load(open_clip, name, path, facts, path)


def _from_archive(open_clip: Any, name: str, tag: str | None, path: str) -> Any:
    """Return the image tower with the weights of OpenAI's archive."""
    if tag not in (None, TAG):
        raise ValueError(
            f"tag='{tag}' contradicts pretrained='{path}', a TorchScript archive like those of"
            f" OpenAI; set tag='{TAG}' or omit it"
        )
    weights = read_openai_archive(open_clip, name, path)
    check_tensors(weights, path)
    with tempfile.TemporaryDirectory() as folder:  # open_clip converts only files
        file = os.path.join(folder, "weights.pt")
        torch.save(weights, file)
        return _load(open_clip, name, file, open_clip.get_pretrained_cfg(name, TAG), path)


def _load(open_clip: Any, name: str, path: str, facts: dict[str, Any], source: str) -> Any:
    """Return the image tower with the weights of ``path``, named ``source`` in errors."""
    try:
        visual = _create(open_clip, name, path, facts)
    except Exception as error:  # the errors of foreign files are not documented
        raise weights_mismatch_error(source, name, error) from None
    check_tensors(visual.state_dict(), source)
    return visual


def _create(open_clip: Any, name: str, path: str | None, facts: dict[str, Any]) -> Any:
    # open_clip only warns if the activation of the tag is missing
    model = open_clip.create_model(
        name,
        pretrained=path,
        force_quick_gelu=facts.get("quick_gelu", False),
        force_preprocess_cfg={key: facts[key] for key in ("mean", "std") if key in facts},
        pretrained_text=False,
    )
    return model.visual


def _facts(open_clip: Any, name: str, tag: str | None, path: str | None) -> dict[str, Any]:
    """Return normalization and activation for weights that are not loaded by a tag.

    Raises:
        ValueError: the tags of the model differ in them and ``tag`` is None.
    """
    tags = [tag] if tag else open_clip.list_pretrained_tags_by_model(name)
    configs = [open_clip.get_pretrained_cfg(name, known) for known in tags]
    facts = [
        dict(mean=c["mean"], std=c["std"], quick_gelu=c.get("quick_gelu", False)) for c in configs
    ]
    if all(fact == facts[0] for fact in facts):
        return facts[0] if facts else {}
    if path is None:
        return {}
    raise ValueError(
        f"pretrained='{path}': the weights of {name} differ in activation or normalization, which"
        f" the file does not contain; set tag to that of the file, one of {', '.join(tags)}"
    )


def _download(open_clip: Any, name: str, tag: str, cache_dir: str | None) -> str:
    config = open_clip.get_pretrained_cfg(name, tag)
    try:
        if config.get("url") and not config.get("hf_hub"):
            return _fetch(config["url"], cache_dir)
        return from_hub(
            lambda: open_clip.download_pretrained(config, cache_dir=cache_dir), cache_dir
        )
    except Exception as error:  # the hub client, sockets and checksums raise many types
        repository, file = os.path.split(config.get("hf_hub", ""))
        file = file or (_HUB_FILE if repository else os.path.basename(config["url"]))
        cause = error.__cause__ if isinstance(error, CheckpointError) else None
        raise download_error(f"{name} {tag}", repository, file, cause or error, tag) from None


def _fetch(url: str, cache_dir: str | None) -> str:
    """Download to where open_clip caches the file, but with a time limit, which it lacks."""
    path = Path(cache_dir or "~/.cache/clip").expanduser() / os.path.basename(url)
    digest = digest_in(url)
    if digest and path.is_file():
        try:
            require_digest(path, digest)
        except CheckpointError:  # an interrupted download of open_clip
            path.unlink(missing_ok=True)
    verify = partial(require_digest, digest=digest) if digest else check_file
    return str(fetch(url, verify, path))


def _tower(open_clip: Any, visual: Any, features: int | str, name: str) -> Tower:
    """Return the tower around the transformer or ResNet of open_clip, or around a timm model.

    Raises:
        ValueError: the model is none of them, or lacks the features.
    """
    if isinstance(visual, open_clip.transformer.VisionTransformer):
        return ClipTower(visual, features)
    if isinstance(visual, open_clip.modified_resnet.ModifiedResNet):
        return open_clip_resnet_tower(visual, features, name)
    trunk = getattr(visual, "trunk", None)
    if trunk is None:
        raise no_map_error(visual, name)
    # the map of the [CLS] token to the shared space serves for every token
    projection = None
    if getattr(trunk, "global_pool", None) == "token":
        projection = nn.Sequential(trunk.fc_norm, trunk.head, visual.head)
    return timm_tower(trunk, features, name, projection)
