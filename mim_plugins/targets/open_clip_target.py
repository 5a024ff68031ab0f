"""Targets from the image towers of open_clip."""

import difflib
import os
from typing import Any

from torch import nn

from ..registry import MODELS
from .clip_tower import ClipTower
from .target_generator import TargetGenerator
from .timm_tower import TimmTower
from .tower import Tower
from .weights import (
    cannot_download,
    does_not_fit,
    existing_file,
    fast_hub,
    import_library,
    reproducible_init,
    warn_random,
)

# where a tag names a repository without a file
_HUB_FILE = "open_clip_model.safetensors"


@MODELS.register_module()
class OpenCLIPTarget(TargetGenerator):
    """Patch features of an open_clip image tower with a token grid.

    The activation (OpenAI's weights need QuickGELU) and the normalisation constants follow the
    tag of the weights. A file does not tell them: they are taken from the model's tags if these
    agree, else ``tag`` must say which weights the file holds.

    Args:
        model_name: open_clip's name of a model, such as ``'ViT-B-16'``.
        pretrained: open_clip's tag of the weights, downloaded if need be; the path of a file that
            holds them; or None for random weights, with a warning.
        features: ``'projection'``: after the last norm and the projection into the space shared
            with text, applied to every patch token; ``'norm'``: after the last norm; or the index
            of a block, from 0 or backwards from -1: that block's output, without norm.
        tag: the tag of the weights in the file ``pretrained``.
        normalize, dtype: see :class:`TargetGenerator`.
        cache_dir: where downloads are kept; None for the library's own place.

    Raises:
        ImportError: open_clip is not installed.
        FileNotFoundError: the weights are neither at hand nor to be downloaded.
        ValueError: there is no such model, tag or feature, the tower has no token grid, or the
            file does not fit or may be one of several that need different activations.
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
    """The image tower with its weights and ``preprocess_cfg``."""
    if pretrained is None:
        warn_random("OpenCLIPTarget", name)
        return _create(open_clip, name, None, _facts(open_clip, name, tag, path=None))
    if open_clip.is_pretrained_cfg(name, pretrained):
        if tag not in (None, pretrained):
            raise ValueError(
                f"tag='{tag}' contradicts pretrained='{pretrained}'; set tag only beside a file"
            )
        config = open_clip.get_pretrained_cfg(name, pretrained)
        path, facts = _download(open_clip, name, pretrained, cache_dir), config
    else:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "there are none"
        path = existing_file(pretrained, f"one of open_clip's tags of {name} ({tags})")
        facts = _facts(open_clip, name, tag, path)
    try:
        return _create(open_clip, name, path, facts)
    except Exception as error:  # what a strange file raises is not documented
        raise does_not_fit(path, name, error) from None


def _create(open_clip: Any, name: str, path: str | None, facts: dict[str, Any]) -> Any:
    # never without the tag's activation: open_clip itself only warns
    model = open_clip.create_model(
        name,
        pretrained=path,
        force_quick_gelu=facts.get("quick_gelu", False),
        force_preprocess_cfg={key: facts[key] for key in ("mean", "std") if key in facts},
        pretrained_text=False,
    )
    return model.visual


def _facts(open_clip: Any, name: str, tag: str | None, path: str | None) -> dict[str, Any]:
    """Normalisation and activation for weights that are not loaded by a tag.

    Raises:
        ValueError: the model's tags differ in them and none is named.
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
        f"pretrained='{path}': the weights of {name} differ in activation or normalisation, which"
        f" the file does not tell; set tag to the one it holds, of {', '.join(tags)}"
    )


def _download(open_clip: Any, name: str, tag: str, cache_dir: str | None) -> str:
    config = open_clip.get_pretrained_cfg(name, tag)
    try:
        with fast_hub():
            return open_clip.download_pretrained(config, cache_dir=cache_dir)
    except Exception as error:  # the hub's client, sockets and checksums have errors of their own
        repository, file = os.path.split(config.get("hf_hub", ""))
        file = file or (_HUB_FILE if repository else os.path.basename(config["url"]))
        raise cannot_download(f"{name} {tag}", repository, file, error, tag) from None


def _tower(open_clip: Any, visual: Any, features: int | str, name: str) -> Tower:
    """The tower, of open_clip's own transformer or of the timm model that it wraps.

    Raises:
        ValueError: it is neither, or has no such features.
    """
    if isinstance(visual, open_clip.transformer.VisionTransformer):
        return ClipTower(visual, features)
    trunk = getattr(visual, "trunk", None)
    if trunk is None:
        raise ValueError(
            f"model_name='{name}' ({type(visual).__name__}) has no grid of patch tokens; use a"
            " vision transformer such as 'ViT-B-16'"
        )
    # what leads from the [CLS] token into the shared space leads there from any token
    projection = None
    if getattr(trunk, "global_pool", None) == "token":
        projection = nn.Sequential(trunk.fc_norm, trunk.head, visual.head)
    return TimmTower(trunk, features, name, projection)
