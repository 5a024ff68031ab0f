import pytest
from mmengine.dataset import BaseDataset, ClassBalancedDataset, ConcatDataset, RepeatDataset
from torch.utils.data import ConcatDataset as TorchConcatDataset
from torch.utils.data import Subset

from mim_plugins.datasets import FaultTolerantDataset
from mim_plugins.datasets.labeled_dataset import LabeledDataset
from mim_plugins.datasets.wrappers import base_datasets, base_sample, count_images


class Images(LabeledDataset):
    def load_data_list(self):
        return [dict(img_path=f"{index}.jpg", gt_label=int(index > 3)) for index in range(5)]


def config(parts):
    return dict(type=ConcatDataset, datasets=[dict(type=Images)] * parts)


WRAPPED = dict(
    plain=(lambda: Images(), 5),
    repeated=(lambda: RepeatDataset(Images(), times=20), 5),
    twice=(lambda: RepeatDataset(config(2), times=3), 10),
    joined=(lambda: ConcatDataset([RepeatDatasetAsBase(), Images()]), 10),
    balanced=(lambda: ClassBalancedDataset(Images(), oversample_thr=0.9), 5),
    tolerant=(lambda: FaultTolerantDataset(Images()), 5),
    subset=(lambda: Subset(Images(), [0, 2]), 2),
    repeated_subset=(lambda: Subset(Images(), [0, 1, 2, 3, 4, 0, 1]), 5),
    cut=(lambda: Images(indices=3), 3),
    list=(lambda: [1, 2, 3], 3),
)


class RepeatDatasetAsBase(BaseDataset):
    """Wrapper that ConcatDataset accepts as an object."""

    def __init__(self):
        self.dataset = Images()
        self._metainfo = {}

    def full_init(self):
        pass

    def __len__(self):
        return 100


@pytest.mark.parametrize("name", WRAPPED)
def test_images_count_once_however_often_they_are_repeated(name):
    build, expected = WRAPPED[name]

    assert count_images(build()) == expected


def test_the_data_sets_at_the_bottom_are_found_in_order():
    found = base_datasets(RepeatDataset(config(3), times=2))

    assert [len(dataset) for dataset in found] == [5, 5, 5]
    assert base_datasets(found[0]) == [found[0]]


@pytest.mark.parametrize("name", [*WRAPPED, "torch", "nested"])
def test_sample_in_the_data_set_at_the_bottom_is_the_same(name):
    more = dict(
        torch=lambda: TorchConcatDataset([Images(indices=2), Subset(Images(), [4, 3])]),
        nested=lambda: FaultTolerantDataset(ConcatDataset(config(2)["datasets"])),
    )
    dataset = (more | {key: build for key, (build, _) in WRAPPED.items()})[name]()
    for index in range(len(dataset)):
        base, inner = base_sample(dataset, index)
        if isinstance(base, Images):
            assert base[inner]["img_path"] == dataset[index]["img_path"]
        else:
            assert name in ("joined", "list")
