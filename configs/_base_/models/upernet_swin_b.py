# MMSegmentation's UperNet; the recipe adds the crop size, which training and inference share.
# The base is a path, because onedl-mmengine does not find mmseg::
_base_ = f"{__import__('mmseg').__path__[0]}/.mim/configs/_base_/models/upernet_swin.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="mim_plugins.MaskedSwin",
        arch="base",
        # pre-trained windows cover 224 of 512 pixels; the last stage, which is cheap, is global
        window_size=(14, 14, 14, "global"),
        drop_path_rate=0.3,
        out_indices=(0, 1, 2, 3),
        init_cfg=dict(type="Pretrained", checkpoint="", prefix="backbone."),
    ),
    decode_head=dict(in_channels=[128, 256, 512, 1024], num_classes=150),
    auxiliary_head=dict(in_channels=512, num_classes=150),
)
