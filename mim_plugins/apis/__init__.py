from .embedding import Embeddings, embed
from .encoder import Encoder, load
from .encoder_description import describe_checkpoint, describe_config
from .features import Features, extract_features
from .images import read_images
from .model_zoo import find_config, list_models, override_config, read_config
from .models import build_model, get_model, load_weights
from .reconstruction import reconstruct

__all__ = [
    "Embeddings",
    "Encoder",
    "Features",
    "build_model",
    "describe_checkpoint",
    "describe_config",
    "embed",
    "extract_features",
    "find_config",
    "get_model",
    "list_models",
    "load",
    "load_weights",
    "override_config",
    "read_config",
    "read_images",
    "reconstruct",
]
