"""UperNet on MixMAE Swin-B/W14 as upernet_mixmae_swin_b_160k.py; inference on whole images.

Paper:    arXiv 2205.13137. Inference on whole images is our choice.
Result:   no published number that we could verify.
Cost:     training as in upernet_mixmae_swin_b_160k.py, whose checkpoints are used.
Command:  tools/dist_test.sh configs/transfer/ade20k/upernet_mixmae_swin_b_160k_whole.py \
              CHECKPOINT 8
"""

_base_ = "upernet_mixmae_swin_b_160k.py"

model = dict(test_cfg=dict(_delete_=True, mode="whole"))
