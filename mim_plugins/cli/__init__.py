from .config_options import add_config_options
from .console_runner import ConsoleRunner
from .device_option import add_device_option
from .interruption import interruptible
from .precision import resolve_precision
from .resumable_parts import enable_exact_resume
from .user_errors import missing_packages_hint, user_errors
from .work_dir_lock import WorkDirLock

__all__ = [
    "ConsoleRunner",
    "WorkDirLock",
    "add_config_options",
    "add_device_option",
    "enable_exact_resume",
    "interruptible",
    "missing_packages_hint",
    "resolve_precision",
    "user_errors",
]
