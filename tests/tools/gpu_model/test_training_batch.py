import pytest
import torch
from gpu_model import training_batch
from mmengine.config import Config
from torch import nn


class Model(nn.Module):
    def __init__(self, classes=None):
        super().__init__()
        self.backbone, self.head = nn.Module(), nn.Module()
        if classes:
            self.head.num_classes = classes


def test_images_are_bytes_on_the_cpu():
    batch = training_batch(Model(), Config(), 2, (8, 16))
    assert (batch["inputs"].shape, batch["inputs"].dtype) == ((2, 3, 8, 16), torch.uint8)
    assert len(batch["data_samples"]) == 2


def test_classifiers_get_labels():
    pytest.importorskip("mmpretrain")
    samples = training_batch(Model(classes=4), Config(), 2, (8, 8))["data_samples"]
    assert [sample.gt_label.tolist() for sample in samples] == [[0], [0]]


def test_masks_and_pairs_of_images_follow_the_config():
    pytest.importorskip("mmpretrain")
    mask = dict(type="SimMIMMaskGenerator", input_size=8, mask_patch_size=4, model_patch_size=2,
                mask_ratio=0.5)  # fmt: skip
    cfg = Config(
        dict(
            train_dataloader=dict(dataset=dict(pipeline=[dict(type="PackInputs"), mask])),
            data_preprocessor=dict(second_mean=[0.0]),
        )
    )
    batch = training_batch(Model(), cfg, 2, (8, 8))
    assert [image.shape for image in batch["inputs"]] == [(2, 3, 8, 8)] * 2
    assert [sample.mask.sum() for sample in batch["data_samples"]] == [8, 8]
