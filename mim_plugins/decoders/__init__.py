from .mae_decoder import MAEDecoder
from .mixmae_decoder import MixMAEDecoder
from .reconstruction_decoder import ReconstructionDecoder

__all__ = [
    "MAEDecoder",
    "MixMAEDecoder",
    "ReconstructionDecoder",
]
