from .config_options import add_config_options
from .console_runner import ConsoleRunner
from .device_option import add_device_option
from .precision import fit_precision
from .resumable_parts import use_resumable_parts
from .user_errors import missing_packages_remedy, user_errors
from .work_dir_lock import WorkDirLock

__all__ = [
    "ConsoleRunner",
    "WorkDirLock",
    "add_config_options",
    "add_device_option",
    "fit_precision",
    "missing_packages_remedy",
    "use_resumable_parts",
    "user_errors",
]
