from .arguments import Arguments, accepted_arguments
from .hooks import hook_configs
from .misspellings import misspelled_argument, misspelled_entry, unread_entries, wrong_choice
from .options import merge_options
from .schema import arguments_at, unknown_name
from .text import config_text
from .text_paths import use_text_paths
from .types import resolve_type, type_name

__all__ = [
    "Arguments",
    "accepted_arguments",
    "arguments_at",
    "config_text",
    "hook_configs",
    "merge_options",
    "misspelled_argument",
    "misspelled_entry",
    "resolve_type",
    "type_name",
    "unknown_name",
    "unread_entries",
    "use_text_paths",
    "wrong_choice",
]
