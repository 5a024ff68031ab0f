"""MR-MAE, ViT-B/16 mimicking DINO, 400 epochs of ImageNet-1k.

Paper:    arXiv 2303.05475. The paper uses CLIP and DINO teachers; the teacher's size is our
          choice.
Cost:     8 GPUs * 256 images; 250,000 steps of 2048 images.
Command:  tools/dist_train.sh configs/mrmae/vit_b_dino_400e.py 8
"""

_base_ = "vit_b_400e.py"

dino = dict(
    target_generator=dict(
        type="mim_plugins.TimmTarget",
        model_name="vit_base_patch16_224.dino",
        pretrained=True,
        normalize=True,
    ),
)
model = dict(mimics=dict(_delete_=True, dino=dino))
