"""MixMAE, Swin-H/W14 with weights, gradients and optimizer state sharded across the GPUs (FSDP2).

Paper:    arXiv 2205.13137 for the method. Sharding is our choice; it changes only the memory.
Result:   no published number.
Cost:     as swin_h_600e.py; memory per GPU: docs/clusters.md. Not measured.
Command:  NNODES=2 tools/dist_train.sh configs/mixmae/swin_h_600e_fsdp2.py 8
          on each machine: docs/clusters.md
"""

_base_ = "swin_h_600e.py"

model_wrapper_cfg = dict(type="mim_plugins.FullyShardedModel")
