"""MixMAE, Swin-H/W14 (655 M parameters; 600 M in the abstract), 600 epochs of ImageNet-1k.

Paper:    arXiv 2205.13137. Size from the authors' public code; the length and schedule of
          Swin-B and gradient checkpointing are our choice.
Result:   no published number that could be verified.
Cost:     16 GPUs * 128 images (our choice); 375,000 steps of 2048 images.
Command:  NNODES=2 tools/dist_train.sh configs/mixmae/swin_h_600e.py 8
          on each machine: docs/clusters.md
"""

_base_ = "swin_b_600e.py"

model = dict(backbone=dict(arch="huge", with_cp=True))
train_dataloader = dict(batch_size=128)
