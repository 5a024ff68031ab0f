# COCO 2017 with large-scale jitter (Ghiasi et al., arXiv 2012.07177): images are scaled by 0.1 to
# 2.0 of image_size and cropped to it. Tests read whole images that fit image_size. A model pads
# both to squares with square_images, as the MCMAE authors and ViTDet do.
_base_ = "mmdet::_base_/datasets/coco_instance.py"

image_size = (1024, 1024)
# pads images after normalization, and the masks of objects. Unlike with a Pad transform, img_shape
# stays that of the image, so boxes are clipped to it.
square_images = dict(pad_size_divisor=max(image_size))

train_pipeline = [
    dict(type="LoadImageFromFile", backend_args=None),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(type="RandomResize", scale=image_size, ratio_range=(0.1, 2.0), keep_ratio=True),
    dict(
        type="RandomCrop",
        crop_type="absolute_range",
        crop_size=image_size,
        recompute_bbox=True,
        allow_negative_crop=True,
    ),
    dict(type="FilterAnnotations", min_gt_bbox_wh=(1e-2, 1e-2)),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile", backend_args=None),
    dict(type="Resize", scale=image_size, keep_ratio=True),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]
train_dataloader = dict(
    batch_size=4, num_workers=4, batch_sampler=None, dataset=dict(pipeline=train_pipeline)
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
