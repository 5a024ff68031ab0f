"""Description of an exported encoder, as lines of text."""

from ..apis import load
from ..checkpoints.description import Description
from .reported_errors import user_errors


def print_encoder_report(path: str) -> None:
    """Report as ``mim-plugins info`` does for a file; errors of users end the program."""
    with user_errors(also=(OSError, ValueError)):
        encoder = load(path)
    parameters = sum(each.numel() for each in encoder.parameters()) / 1e6
    print(f"{path}: {encoder.description.backbone['type']}, {parameters:.1f} M parameters")
    print("\n".join(f"  {name:<14} {text}" for name, text in _lines(encoder.description).items()))


def _lines(description: Description) -> dict[str, str]:
    given = description.preprocessing
    arguments = [
        f"{name}={value!r}" for name, value in description.backbone.items() if name != "type"
    ]
    normal = f"mean {list(given.mean)}, std {list(given.std)} of pixels {given.units}"
    lines = dict(
        arguments=", ".join(arguments),
        images=f"resize {given.resizing} ({given.interpolation}, {given.backend}), crop"
        f" {given.size[0]}x{given.size[1]}",
        channels=f"{given.channels} ({given.channel_order}), {normal}",
        algorithm=description.algorithm,
        source=description.source,
        digest=description.source_sha256,
        versions=", ".join(f"{name} {each}" for name, each in description.versions.items()),
    )
    return {name: text for name, text in lines.items() if text}
