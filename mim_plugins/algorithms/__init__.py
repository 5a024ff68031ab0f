from .mimic import Mimic, used_mimics
from .mixmae import MixMAE
from .mrmae import MRMAE
from .pretraining_model import PretrainingModel

__all__ = [
    "MRMAE",
    "Mimic",
    "MixMAE",
    "PretrainingModel",
    "used_mimics",
]
