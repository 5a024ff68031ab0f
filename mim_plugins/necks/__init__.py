from .extra_level import ExtraLevel
from .pooled_level import PooledLevel
from .simple_feature_pyramid import SimpleFeaturePyramid

__all__ = [
    "ExtraLevel",
    "PooledLevel",
    "SimpleFeaturePyramid",
]
