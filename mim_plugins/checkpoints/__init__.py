from .conversion import convert
from .download import cached_path, fetch, is_web_address
from .export import FORMATS, Exported, export_backbone, to_timm
from .http_loader import load_from_http
from .integrity import find_corruption, has_digest, write_with_digest
from .layouts import LAYOUTS, Layout, find_layout, recognize
from .pretrained import LoadReport, load_pretrained
from .reading import read_tensors, socket_timeout
from .reference import read_reference
from .safe_globals import is_unrestricted, plain_data_only
from .stall_timeout import TIMEOUT_VARIABLE, run_with_timeout
from .strict_loading import compare_names, describe_mismatch, load_strictly
from .strict_pretrained_init import StrictPretrainedInit, pretrained_entries, strict_init_cfg
from .tensor_check import require_plain, require_weights
from .torchscript import is_torchscript
from .trained_classes import trained_classes
from .training_state import check_training_state
from .weights import sanitize_checkpoint
from .writing import PARTIAL_SUFFIX, write_atomically, write_checkpoint

__all__ = [
    "FORMATS",
    "LAYOUTS",
    "PARTIAL_SUFFIX",
    "TIMEOUT_VARIABLE",
    "Exported",
    "Layout",
    "LoadReport",
    "StrictPretrainedInit",
    "cached_path",
    "check_training_state",
    "compare_names",
    "convert",
    "describe_mismatch",
    "export_backbone",
    "fetch",
    "find_corruption",
    "find_layout",
    "has_digest",
    "is_torchscript",
    "is_unrestricted",
    "is_web_address",
    "load_from_http",
    "load_pretrained",
    "load_strictly",
    "plain_data_only",
    "pretrained_entries",
    "read_reference",
    "read_tensors",
    "recognize",
    "require_plain",
    "require_weights",
    "run_with_timeout",
    "sanitize_checkpoint",
    "socket_timeout",
    "strict_init_cfg",
    "to_timm",
    "trained_classes",
    "write_atomically",
    "write_checkpoint",
    "write_with_digest",
]
