from .open_clip_target import OpenCLIPTarget
from .target_generator import TargetGenerator, TeacherOutput
from .timm_target import TimmTarget

__all__ = [
    "OpenCLIPTarget",
    "TargetGenerator",
    "TeacherOutput",
    "TimmTarget",
]
