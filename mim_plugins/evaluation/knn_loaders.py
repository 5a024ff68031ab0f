"""Loaders of the two labeled data sets of a k-NN evaluation."""

from collections.abc import Sequence

from torch.utils.data import DataLoader

from .labeled_loader import build_labeled_loader, check_same_classes


def build_knn_loaders(
    datasets: tuple[dict, dict],
    img_size: int | Sequence[int],
    batch_size: int,
    num_workers: int,
    max_images: tuple[int | None, int | None],
    bands: dict | None = None,
    channels: int = 3,
) -> tuple[DataLoader, DataLoader]:
    """Build the loaders of references and queries, which must have the same classes.

    Args:
        datasets: configs of the references and the queries, see :func:`build_labeled_loader`.
        img_size: side or (H, W) of the default crop.
        batch_size: images per process.
        num_workers: loading processes of each loader.
        max_images: limits of the references and the queries; None reads all images.
        bands: see :class:`LoadImage`, for the default pipeline.
        channels: channels of the model's images; see :func:`center_crop`.

    Raises:
        DataNotFoundError: a folder or file of a data set is missing.
        ValueError: a data set without labels or with too few images, or data sets with different
            classes.
    """
    references, queries = (
        build_labeled_loader(dataset, img_size, batch_size, num_workers, limit, bands, channels)
        for dataset, limit in zip(datasets, max_images, strict=True)
    )
    check_same_classes(references, queries)
    return references, queries
