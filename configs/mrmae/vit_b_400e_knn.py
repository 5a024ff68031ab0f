"""MR-MAE, ViT-B/16, 400 epochs, with the k-NN accuracy on ImageNet every 20 epochs.

Paper:    as vit_b_400e.py; the k-NN protocol is that of DINO (arXiv 2104.14294) on the mean of
          the last tokens. The interval and 100,000 reference images are our choice.
Result:   the same weights as vit_b_400e.py; no published k-NN number.
Cost:     8 GPUs * 256 images; an evaluation adds a forward pass of 150,000 images (not measured).
Command:  tools/dist_train.sh configs/mrmae/vit_b_400e_knn.py 8
"""

_base_ = "vit_b_400e.py"

default_hooks = dict(knn=dict(type="mim_plugins.KNNHook", interval=20))
