from .layouts import LAYOUTS, Layout, convert, recognise
from .parity import compare_with_reference, relative_error
from .reading import read_reference, read_tensors

__all__ = [
    "LAYOUTS",
    "Layout",
    "compare_with_reference",
    "convert",
    "read_reference",
    "read_tensors",
    "recognise",
    "relative_error",
]
