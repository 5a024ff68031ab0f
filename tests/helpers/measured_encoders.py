"""Encoders of the widths of the recipes, with few blocks, and the sides of their images."""

import torch

SWIN = dict(type="mim_plugins.MaskedSwin", arch=dict(embed_dims=128, depths=(1, 1, 1, 1),
            num_heads=(4, 8, 16, 32)))  # fmt: skip
ENCODERS = dict(
    swin=(SWIN, (224, 224)),
    swin_tiny=(SWIN | dict(arch=dict(embed_dims=96, depths=(2, 2, 2, 2),
               num_heads=(3, 6, 12, 24)), window_size=7, shift_windows=True), (224, 224)),
    swin_huge=(SWIN | dict(arch=dict(embed_dims=352, depths=(1, 1, 1, 1),
               num_heads=(11, 22, 44, 88))), (224, 224)),
    swin_384=(SWIN | dict(img_size=384, window_size=(24, 24, 24, 12)), (384, 384)),
    swin_detection=(SWIN | dict(window_size=(14, 14, 14, "global")), (512, 416)),
    pvt=(dict(type="mim_plugins.MaskedPVT", arch="tiny"), (224, 224)),
    vit=(dict(type="mim_plugins.MaskedViT", arch=dict(depth=1, embed_dims=768, num_heads=12)),
         (224, 224)),
    vit_detection=(dict(type="mim_plugins.MaskedViT", window_size=14, global_blocks=(1,),
                   arch=dict(depth=2, embed_dims=768, num_heads=12)), (512, 416)),
    mcmae=(dict(type="mim_plugins.MaskedConvViT"), (224, 224)),
)  # fmt: skip


def forward_passes(encoder, images):
    """Run the forward pass of fine-tuning and, of MixMAE's encoders, that of pre-training."""
    encoder(images)
    if hasattr(encoder, "forward_mixed"):
        height, width = (side // encoder.encoder_stride for side in images.shape[2:])
        mask = torch.rand(1, height, width) < 0.5
        # masks of the cost model have values, so they stay on the CPU
        encoder.forward_mixed(images, mask if images.is_meta else mask.to(images.device))
