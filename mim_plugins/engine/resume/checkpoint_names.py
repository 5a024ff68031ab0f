"""Names of a run's checkpoints."""

import re

from ...errors import ConfigError

INTERRUPTED = "interrupted.pth"  # removed when a later regular checkpoint is complete
TIMED = ("timed_0.pth", "timed_1.pth")

_NUMBER = re.compile(r"\{[^}]*\}")
_EXAMPLES = (1, 12)


def template_pattern(template: str) -> str:
    """Return the regular expression of the names that a ``filename_tmpl`` describes."""
    return r"\d+".join(re.escape(part) for part in _NUMBER.split(template))


def check_template(template: str) -> None:
    """Check that files named by ``filename_tmpl`` differ and are found by ``--resume``.

    Raises:
        ConfigError: they have no number, are in another folder, do not end in .pth, or have a name
            that other files of the run have.
    """
    try:
        names = [template.format(number) for number in _EXAMPLES]
    except (AttributeError, LookupError, TypeError, ValueError):
        names = []
    if len(set(names)) < len(_EXAMPLES) or not all(_is_found(name, template) for name in names):
        raise ConfigError(
            f"AtomicCheckpointHook: filename_tmpl={template!r} must be a name that contains {{}}"
            " for the epoch or iteration and ends in .pth, such as 'epoch_{}.pth'; give a folder as"
            " out_dir"
        )
    pattern = template_pattern(template)
    if any(re.fullmatch(pattern, name) for name in TIMED):
        raise ConfigError(
            f"AtomicCheckpointHook: filename_tmpl={template!r} describes {TIMED[1]}, a file of"
            " TimedCheckpointHook: choose another name, such as 'epoch_{}.pth'"
        )


def _is_found(name: str, template: str) -> bool:
    is_plain = name.isprintable() and name == name.strip() and not re.search(r"[/\\]", name)
    return is_plain and bool(re.fullmatch(template_pattern(template), name)) and name[-4:] == ".pth"
