from .guarded_stream import GuardedStream, guarded_console
from .guarded_vis_backend import GuardedVisBackend
from .guarded_writers import guard_writers

__all__ = [
    "GuardedStream",
    "GuardedVisBackend",
    "guard_writers",
    "guarded_console",
]
