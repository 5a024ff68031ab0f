"""MR-MAE, ViT-B/16 with focused mimicking and multi-layer fusion, 400 epochs of ImageNet-1k.

Paper:    arXiv 2303.05475. The exact form of both, the layers and the temperature are our choice.
Cost:     8 GPUs * 256 images; 250,000 steps of 2048 images.
Command:  tools/dist_train.sh configs/mrmae/vit_b_focused_fusion_400e.py 8
"""

_base_ = "vit_b_400e.py"

model = dict(
    focus_teacher="clip",
    focus_temperature=1.0,
    mimics=dict(clip=dict(fusion_layers=(2, 5, 8))),
)
