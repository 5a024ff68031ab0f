from .mimic import Mimic
from .mixmae import MixMAE
from .mrmae import MRMAE
from .pretraining_model import PretrainingModel

__all__ = [
    "MRMAE",
    "Mimic",
    "MixMAE",
    "PretrainingModel",
]
