from .checkpoint_error import CheckpointError
from .export import FORMATS, Exported, export_backbone, to_timm
from .layouts import LAYOUTS, Layout, convert, find_layout, recognise
from .parity import compare_with_reference, relative_error
from .pretrained import LoadReport, load_pretrained
from .reading import read_reference, read_tensors
from .strict_pretrained_init import StrictPretrainedInit, load_strictly
from .writing import write_atomically

__all__ = [
    "FORMATS",
    "LAYOUTS",
    "CheckpointError",
    "Exported",
    "Layout",
    "LoadReport",
    "StrictPretrainedInit",
    "compare_with_reference",
    "convert",
    "export_backbone",
    "find_layout",
    "load_pretrained",
    "load_strictly",
    "read_reference",
    "read_tensors",
    "recognise",
    "relative_error",
    "to_timm",
    "write_atomically",
]
