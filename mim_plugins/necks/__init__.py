from .extra_level import ExtraLevel
from .simple_feature_pyramid import SimpleFeaturePyramid

__all__ = [
    "ExtraLevel",
    "SimpleFeaturePyramid",
]
