from .fault_tolerant_dataset import FaultTolerantDataset
from .image_net import ImageNet
from .inaturalist import INaturalist
from .labeled_image_folder import LabeledImageFolder
from .mixture_sampler import MixtureSampler
from .places365 import Places365
from .replacement import prepare_or_replace, replacement_index
from .unlabeled_image_folder import UnlabeledImageFolder

__all__ = [
    "FaultTolerantDataset",
    "INaturalist",
    "ImageNet",
    "LabeledImageFolder",
    "MixtureSampler",
    "Places365",
    "UnlabeledImageFolder",
    "prepare_or_replace",
    "replacement_index",
]
