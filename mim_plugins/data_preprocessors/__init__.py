from .asynchronous_copies import AsynchronousCopies, copy_without_waiting
from .mix_data_preprocessor import MixDataPreprocessor, reverses_channels

__all__ = [
    "AsynchronousCopies",
    "MixDataPreprocessor",
    "copy_without_waiting",
    "reverses_channels",
]
