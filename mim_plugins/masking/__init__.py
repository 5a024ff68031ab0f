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
    upsample_mask,
)
from .token_masks import (
    TokenMask,
    attention_scores,
    count_visible,
    gather_tokens,
    mask_from_scores,
    random_scores,
)

__all__ = [
    "MixImages",
    "MixedImages",
    "TokenMask",
    "attention_scores",
    "choose_partners",
    "count_masked",
    "count_visible",
    "gather_tokens",
    "inverse_permutation",
    "mask_from_scores",
    "mix",
    "mix_tokens",
    "random_scores",
    "sample_masks",
    "unmix",
    "upsample_mask",
]
