from .fully_sharded_model import FullyShardedModel

__all__ = ["FullyShardedModel"]
