from .reconstruction_decoders import MAEDecoder, MixMAEDecoder, ReconstructionDecoder

__all__ = [
    "MAEDecoder",
    "MixMAEDecoder",
    "ReconstructionDecoder",
]
