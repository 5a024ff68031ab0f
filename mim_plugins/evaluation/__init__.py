from .features import PRECISIONS, extract_features
from .knn import KNNAccuracy, check_neighbors, knn_accuracy
from .knn_loaders import build_knn_loaders
from .labeled_features import LabeledFeatures
from .labeled_loader import build_labeled_loader, check_same_classes
from .linear_probe import linear_probe_accuracy
from .rankme import rankme

__all__ = [
    "PRECISIONS",
    "KNNAccuracy",
    "LabeledFeatures",
    "build_knn_loaders",
    "build_labeled_loader",
    "check_neighbors",
    "check_same_classes",
    "extract_features",
    "knn_accuracy",
    "linear_probe_accuracy",
    "rankme",
]
