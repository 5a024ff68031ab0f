from .features import extract_features
from .knn import KNNAccuracy, check_neighbours, knn_accuracy
from .labeled_features import LabeledFeatures
from .labeled_loader import build_labeled_loader, check_same_classes

__all__ = [
    "KNNAccuracy",
    "LabeledFeatures",
    "build_labeled_loader",
    "check_neighbours",
    "check_same_classes",
    "extract_features",
    "knn_accuracy",
]
