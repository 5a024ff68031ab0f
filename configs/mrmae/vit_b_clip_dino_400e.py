"""MR-MAE, ViT-B/16 mimicking CLIP and DINO at once, 400 epochs of ImageNet-1k.

Paper:    arXiv 2303.05475. The weights of the two teachers are our choice.
Cost:     8 GPUs * 256 images; 250,000 steps of 2048 images.
Command:  tools/dist_train.sh configs/mrmae/vit_b_clip_dino_400e.py 8
"""

_base_ = "vit_b_400e.py"

model = dict(
    mimics=dict(
        clip=dict(weight=0.5),
        dino=dict(
            target_generator=dict(
                type="mim_plugins.TimmTarget",
                model_name="vit_base_patch16_224.dino",
                pretrained=True,
                normalize=True,
            ),
            weight=0.5,
        ),
    ),
)
