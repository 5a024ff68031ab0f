from .mimic import Mimic
from .mixmae import MixMAE
from .mrmae import MRMAE

__all__ = ["MRMAE", "Mimic", "MixMAE"]
