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
from .token_masks import (
    TokenMask,
    count_visible,
    focused_scores,
    gather_tokens,
    mask_by_scores,
    uniform_scores,
)

__all__ = [
    "MixImages",
    "MixedImages",
    "TokenMask",
    "choose_partners",
    "count_masked",
    "count_visible",
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
