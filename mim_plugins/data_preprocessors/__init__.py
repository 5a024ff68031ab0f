from .mix_data_preprocessor import MixDataPreprocessor, reverses_channels

__all__ = [
    "MixDataPreprocessor",
    "reverses_channels",
]
