"""MR-MAE, ViT-B/16 mimicking CLIP, 400 epochs of ImageNet-1k.

Paper:    arXiv 2303.05475. Visible 25 % mimic, masked 75 % are reconstructed. Learning rate,
          batch and warm-up are not public: ours are those of MixMAE and MAE.
Result:   not published for 400 epochs of the plain ViT; 200 epochs: see vit_b_200e.py.
Cost:     8 GPUs * 256 images; 250,000 steps of 2048 images.
Command:  tools/dist_train.sh configs/mrmae/vit_b_400e.py 8
          without network: --cfg-options model.mimics.clip.target_generator.pretrained=CHECKPOINT,
          the hub's open_clip_model.safetensors of timm/vit_base_patch16_clip_224.openai
"""

_base_ = [
    "../_base_/models/mrmae_vit_b.py",
    "../_base_/datasets/imagenet_pretrain_224.py",
    "../_base_/schedules/pretrain_adamw.py",
    "../_base_/pretrain_runtime.py",
]

train_cfg = dict(max_epochs=400)
