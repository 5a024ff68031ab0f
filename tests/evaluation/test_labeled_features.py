import torch

from mim_plugins.evaluation import LabeledFeatures


def test_moves_features_and_labels_together():
    moved = LabeledFeatures(torch.zeros(2, 3), torch.zeros(2, dtype=torch.long)).to("meta")
    assert [tensor.device.type for tensor in moved] == ["meta", "meta"]
    assert moved.features.shape == (2, 3)
