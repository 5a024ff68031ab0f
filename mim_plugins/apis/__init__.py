from .catalogue import find_config, list_models
from .features import Features, extract_features
from .images import read_images
from .models import build_model, get_model, load_weights
from .reconstruction import reconstruct

__all__ = [
    "Features",
    "build_model",
    "extract_features",
    "find_config",
    "get_model",
    "list_models",
    "load_weights",
    "read_images",
    "reconstruct",
]
