from .addresses import (
    archives_of,
    contains_file,
    image_exists,
    is_url,
    join_address,
    read_image_file,
    split_address,
    try_archives,
)
from .formats import (
    FORMATS,
    HUB,
    SEPARATOR,
    archive_format,
    archive_of,
    format_of_suffix,
    is_metadata,
    open_archive,
)
from .image_archive import ImageArchive
from .stored_labels import with_common_classes

__all__ = [
    "FORMATS",
    "HUB",
    "SEPARATOR",
    "ImageArchive",
    "archive_format",
    "archive_of",
    "archives_of",
    "contains_file",
    "format_of_suffix",
    "image_exists",
    "is_metadata",
    "is_url",
    "join_address",
    "open_archive",
    "read_image_file",
    "split_address",
    "try_archives",
    "with_common_classes",
]
