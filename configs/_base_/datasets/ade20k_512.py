# <data_root>/images/{training,validation}/*.jpg and annotations/{training,validation}/*.png
_base_ = "mmseg::_base_/datasets/ade20k.py"

train_dataloader = dict(batch_size=2)
