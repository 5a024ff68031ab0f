"""MixMAE, Swin-B/W14, 600 epochs, with the k-NN accuracy on ImageNet every 20 epochs.

Paper:    as swin_b_600e.py; the k-NN protocol is that of DINO (arXiv 2104.14294) on the mean of
          the last tokens. The interval and 100,000 reference images are our choice.
Result:   the same weights as swin_b_600e.py; no published k-NN number.
Cost:     8 GPUs * 256 images; an evaluation adds a forward pass of 150,000 images (not measured).
Command:  tools/dist_train.sh configs/mixmae/swin_b_600e_knn.py 8
"""

_base_ = "swin_b_600e.py"

default_hooks = dict(knn=dict(type="mim_plugins.KNNHook", interval=20))
