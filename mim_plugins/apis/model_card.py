"""Model card of an encoder on the Hugging Face hub."""

from functools import cache
from typing import Any, NamedTuple

from mmengine.fileio import load as load_file

from ..checkpoints.description import Description
from ..config import type_name
from ..paths import CONFIG_DIR
from .hub_files import crop_in_timm, is_vit_of_timm
from .model_zoo import read_config

_FOLDERS = dict(MixMAE="mixmae", MRMAE="mrmae")
_TASK = "Image Classification"


def model_card(description: Description, figures: dict[str, float | str]) -> Any:
    """Return the card of an encoder, with own ``figures`` by name and published ones apart."""
    from huggingface_hub import ModelCard, ModelCardData

    is_timm = is_vit_of_timm(description)
    names = ["timm"] if _is_in_timm(description) else []
    data = ModelCardData(
        library_name="timm" if is_timm else "mim_plugins",
        pipeline_tag="image-feature-extraction",
        tags=["image-feature-extraction", "mim_plugins", *names],
    )
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{_text(description, figures, is_timm)}")


def _is_in_timm(description: Description) -> bool:
    """Return whether the encoder has a model of timm, which reads RGB images."""
    return description.preprocessing.channel_order != "bgr"


def published_figures(description: Description) -> list[tuple[str, str, float, str]]:
    """Return recipe, metric, value and source of published results with this kind of encoder."""
    given = description.backbone
    kind, arch = given["type"], _first_letter(given.get("arch", "base"))
    folder = _FOLDERS.get(description.algorithm)
    return [
        each.figure
        for each in _all_published()
        if (each.kind, each.arch) == (kind, arch) and folder in (None, each.folder)
    ]


class _Published(NamedTuple):
    folder: str
    kind: str
    arch: Any
    figure: tuple[str, str, float, str]


@cache
def _all_published() -> list[_Published]:
    """Return the published results of classification in the metafiles of the recipes."""
    found = []
    for folder in _FOLDERS.values():
        for model in load_file(CONFIG_DIR / f"{folder}/metafile.yml")["Models"]:
            results = [each for each in model["Results"] or () if each["Task"] == _TASK]
            if not results:
                continue
            backbone = read_config(CONFIG_DIR.parent / model["Config"]).model.backbone
            source = model["Metadata"]["Source of Results"]
            for each in results:
                for metric, value in each["Metrics"].items():
                    figure = (model["Name"], f"{each['Dataset']}, {metric}", value, source)
                    kind, arch = (
                        type_name(backbone.type),
                        _first_letter(backbone.get("arch", "base")),
                    )
                    found.append(_Published(folder, kind, arch, figure))
    return found


def _first_letter(arch: Any) -> Any:
    """Return the short form of an architecture's name; other sizes are unchanged."""
    return arch[0].lower() if isinstance(arch, str) else arch


def _text(description: Description, figures: dict[str, float | str], is_timm: bool) -> str:
    name, given = description.backbone["type"], description.preprocessing
    needs = [] if is_timm else ["import mim_plugins.hubs.timm  # registers the model"]
    of_timm = [
        "```python",
        "import timm",
        *needs,
        "",
        'model = timm.create_model("hf-hub:THIS_REPOSITORY", pretrained=True)',
        "pooled = model(images)  # normalized as below",
        "```",
        "",
    ]
    digest = f", SHA-256 `{description.source_sha256}`" if description.source_sha256 else ""
    lines = [
        f"# {name}",
        "",
        f"Image encoder {name}, trained as {description.algorithm or 'an unknown model'} with"
        f" mim_plugins. Exported from `{description.source or 'an unknown file'}`{digest}.",
        "",
        "```python",
        "import mim_plugins",
        "from mim_plugins.apis import Encoder",
        "",
        'encoder = Encoder.from_pretrained("THIS_REPOSITORY")',
        'pooled, maps = mim_plugins.extract_features(encoder, ["a.jpg", "b.png"])',
        "```",
        "",
        *(of_timm if _is_in_timm(description) else []),
        "## Preprocessing",
        "",
        f"- resize {given.resizing}, {given.interpolation}",
        f"- crop the center, {given.size[0]} x {given.size[1]} pixels (height x width)",
        f"- {given.channels} channels, order: {given.channel_order}",
        f"- mean {list(given.mean)} and standard deviation {list(given.std)} of pixels"
        f" {given.units}",
        *(f"- {note}" for note in [crop_in_timm(description)] if note),
        "",
        "## Figures of these weights",
        "",
        *(_table(["measurement", "value"], figures.items()) or ["None was given."]),
        "",
        "## Published figures of other weights",
        "",
    ]
    published = published_figures(description)
    if published:
        lines += [
            "The authors report these for encoders of the same architecture, not for this one.",
            "",
        ]
        lines += _table(["recipe", "metric", "value", "source"], published)
    else:
        lines += ["None is known for this architecture."]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _table(head: list[str], rows: Any) -> list[str]:
    lines = [f"| {' | '.join(str(cell).replace('|', ' ') for cell in row)} |" for row in rows]
    return [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *lines] if lines else []
