from .open_clip_target import OpenCLIPTarget
from .target_generator import TargetGenerator, TeacherOutput
from .timm_target import TimmTarget
from .tower import Tower

__all__ = [
    "OpenCLIPTarget",
    "TargetGenerator",
    "TeacherOutput",
    "TimmTarget",
    "Tower",
]
