"""ADE20K semantic segmentation: UperNet on MixMAE Swin-L/W14, 512 px, 160,000 iterations.

Paper:    arXiv 2205.13137, whose settings for ADE20K could not be verified: those of Swin-B are
          our choice.
Result:   no published number that could be verified.
Cost:     8 GPUs * 2 images; 160,000 steps of 16 images; time not measured.
Command:  tools/dist_train.sh configs/transfer/ade20k/upernet_mixmae_swin_l_160k.py 8 \
              --checkpoint CHECKPOINT
"""

_base_ = "upernet_mixmae_swin_b_160k.py"

model = dict(
    backbone=dict(arch="large", init_cfg=dict(checkpoint="work_dirs/swin_l_600e/epoch_600.pth")),
    decode_head=dict(in_channels=[192, 384, 768, 1536]),
    auxiliary_head=dict(in_channels=768),
)
