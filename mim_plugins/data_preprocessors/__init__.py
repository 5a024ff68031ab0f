from .asynchronous_copies import AsynchronousCopies, copy_without_waiting
from .color_order import check_file_colors, reads_rgb, run_config
from .mix_data_preprocessor import MixDataPreprocessor, reverses_channels

__all__ = [
    "AsynchronousCopies",
    "MixDataPreprocessor",
    "check_file_colors",
    "copy_without_waiting",
    "reads_rgb",
    "reverses_channels",
    "run_config",
]
