from .asynchronous_copies import AsynchronousCopies, copy_without_waiting
from .color_order import (
    check_file_colors,
    has_normalization,
    innermost,
    passes_rgb,
    reads_rgb,
    reverses_channels,
    reverses_files,
    run_config,
)
from .mix_data_preprocessor import MixDataPreprocessor
from .preprocess_for import place_of, preprocess_for

__all__ = [
    "AsynchronousCopies",
    "MixDataPreprocessor",
    "check_file_colors",
    "copy_without_waiting",
    "has_normalization",
    "innermost",
    "passes_rgb",
    "place_of",
    "preprocess_for",
    "reads_rgb",
    "reverses_channels",
    "reverses_files",
    "run_config",
]
