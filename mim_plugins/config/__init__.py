from .arguments import Arguments, accepted_arguments
from .options import merge_options
from .schema import arguments_at, hook_problem, unknown_name
from .types import resolve_type, type_name

__all__ = [
    "Arguments",
    "accepted_arguments",
    "arguments_at",
    "hook_problem",
    "merge_options",
    "resolve_type",
    "type_name",
    "unknown_name",
]
