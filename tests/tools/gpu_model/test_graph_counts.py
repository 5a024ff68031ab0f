import pytest
import torch
from gpu_model import count_graphs

from mim_plugins.registry import MODELS

BACKBONES = dict(
    vit=dict(type="mim_plugins.MaskedViT", arch=dict(depth=1, embed_dims=32, num_heads=2)),
    mcmae=dict(
        type="mim_plugins.MaskedConvViT",
        arch=dict(
            depths=(1, 1, 1), embed_dims=(16, 16, 32), mlp_ratios=(2, 2, 2), num_heads=2
        ),
    ),
)  # fmt: skip


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=BACKBONES)
def test_mrmae_compiles_to_one_graph_for_all_masks(backbone):
    with torch.device("meta"):
        model = MODELS.build(
            dict(
                type="mim_plugins.MRMAE",
                backbone=backbone | dict(img_size=64),
                decoder=dict(type="mim_plugins.MAEDecoder", embed_dims=32, depth=1, num_heads=2),
                head=dict(type="mim_plugins.PixelHead"),
                data_preprocessor=dict(type="mim_plugins.MixDataPreprocessor"),
            )
        )
    counts = count_graphs(model.loss, (torch.empty(2, 3, 64, 64, device="meta"),) * 10)
    assert counts == (1, 0, {})


def test_breaks_and_recompilations_are_counted():
    def loss(x):
        y = x.sum() * 2
        torch._dynamo.graph_break()
        return (y + 1) * x.shape[0]

    counts = count_graphs(loss, [torch.zeros(2), torch.zeros(2), torch.zeros(3)])
    assert counts.graphs == 2
    assert counts.recompiled > 0
    assert sum(counts.breaks.values()) > 0
