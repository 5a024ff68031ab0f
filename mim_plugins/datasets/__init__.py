from .data_not_found_error import DataNotFoundError
from .unlabeled_image_folder import UnlabeledImageFolder

__all__ = ["DataNotFoundError", "UnlabeledImageFolder"]
