from .bands import Bands
from .decode import decode_image
from .load_image import LoadImage
from .load_random_resized_crop import LoadRandomResizedCrop
from .pack_inputs import PackInputs
from .resize_edge import ResizeEdge

__all__ = [
    "Bands",
    "LoadImage",
    "LoadRandomResizedCrop",
    "PackInputs",
    "ResizeEdge",
    "decode_image",
]
