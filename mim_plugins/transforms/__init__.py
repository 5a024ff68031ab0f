from .damaged_image_error import DamagedImageError
from .decode import decode_image
from .load_image import LoadImage
from .load_random_resized_crop import LoadRandomResizedCrop
from .mix_images import MixImages
from .mixing import (
    MixedImages,
    choose_partners,
    count_masked,
    inverse_permutation,
    mix,
    mix_tokens,
    sample_masks,
    unmix,
)
from .pack_inputs import PackInputs
from .resize_edge import ResizeEdge
from .token_masks import (
    TokenMask,
    count_visible,
    focused_scores,
    gather_tokens,
    mask_by_scores,
    uniform_scores,
)

__all__ = [
    "DamagedImageError",
    "LoadImage",
    "LoadRandomResizedCrop",
    "MixImages",
    "MixedImages",
    "PackInputs",
    "ResizeEdge",
    "TokenMask",
    "choose_partners",
    "count_masked",
    "count_visible",
    "decode_image",
    "focused_scores",
    "gather_tokens",
    "inverse_permutation",
    "mask_by_scores",
    "mix",
    "mix_tokens",
    "sample_masks",
    "uniform_scores",
    "unmix",
]
