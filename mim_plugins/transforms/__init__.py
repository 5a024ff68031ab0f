from .mix_images import MixImages
from .mixing import (
    MixedImages,
    choose_partners,
    count_masked,
    inverse_permutation,
    mix,
    sample_masks,
    unmix,
)

__all__ = [
    "MixImages",
    "MixedImages",
    "choose_partners",
    "count_masked",
    "inverse_permutation",
    "mix",
    "sample_masks",
    "unmix",
]
