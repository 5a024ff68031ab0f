# <data_root>/images/{training,validation}/*.jpg and annotations/{training,validation}/*.png
# A path, because onedl-mmengine does not find mmseg::
_base_ = f"{__import__('mmseg').__path__[0]}/.mim/configs/_base_/datasets/ade20k.py"

train_dataloader = dict(batch_size=2)
