from .mimic_head import MimicHead
from .pixel_head import PixelHead

__all__ = [
    "MimicHead",
    "PixelHead",
]
