"""MaskedSwin of a few blocks, and the pixels on which its outputs depend."""

import torch

from mim_plugins.backbones import MaskedSwin


def swin(*depths, window, img_size=32, **changes):
    """Build stages of 8, 16, ... channels; the first has a grid of img_size / 4."""
    arch = dict(embed_dims=8, depths=depths, num_heads=(2,) * len(depths))
    return MaskedSwin(arch=arch, img_size=img_size, window_size=window, **changes).eval()


def influence_on(backbone, token, size=(32, 32), mask=None):
    """Return the tokens whose pixels influence the output at ``token``: bool (H / 4, W / 4)."""
    images = torch.randn(1, 3, *size, requires_grad=True)
    if mask is None:
        output = backbone(images)[0][0, :, token[0], token[1]]
    else:
        output = backbone.forward_mixed(images, mask)
        output = output.unflatten(1, tuple(mask.shape[1:]))[0, token[0], token[1]]
    (output * torch.randn_like(output)).sum().backward()
    return images.grad[0].abs().sum(dim=0).unfold(0, 4, 4).unfold(1, 4, 4).sum(dim=(2, 3)) > 0
