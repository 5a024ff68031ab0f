from typing import TYPE_CHECKING

from ..lazy import lazy_attributes

if TYPE_CHECKING:
    from .config_options import add_config_options
    from .console_runner import ConsoleRunner
    from .device_option import add_device_option
    from .interruption import interruptible
    from .precision import resolve_precision
    from .reported_errors import missing_packages_hint, user_errors
    from .resumable_parts import enable_exact_resume
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
# lazy, because the parser of the console script must not import PyTorch
__getattr__ = lazy_attributes(
    __name__,
    dict(
        ConsoleRunner="console_runner",
        WorkDirLock="work_dir_lock",
        add_config_options="config_options",
        add_device_option="device_option",
        interruptible="interruption",
        missing_packages_hint="reported_errors",
        user_errors="reported_errors",
        resolve_precision="precision",
        enable_exact_resume="resumable_parts",
    ),
)
