"""Published settings of detection on COCO and segmentation on ADE20K, and our choices."""

import math

from pretraining import ARCHES, IMAGENET_RGB, swin
from rows import choice, ours, paper, same_rates, swin_rates, vit_rates

DET = "Alpha-VL/ConvMAE 4c97b4c: DET/configs/convmae/, DET/models/convmae.py"
SEG = "Alpha-VL/ConvMAE 4c97b4c: SEG/configs/, SEG/backbone/convmae.py, SEG/mmcv_custom/"
VITDET = "arXiv 2203.16527, section 3 and appendix"
LSJ = "arXiv 2012.07177; " + DET
SQUARE = (1024, 1024)
JITTERED = [
    ("LoadImageFromFile", {}),
    ("LoadAnnotations", dict(with_mask=True)),
    ("RandomResize", dict(scale=SQUARE, ratio_range=(0.1, 2.0))),
    (
        "RandomCrop",
        dict(
            crop_type="absolute_range",
            crop_size=SQUARE,
            recompute_bbox=True,
            allow_negative_crop=True,
        ),
    ),
    ("FilterAnnotations", {}),
    ("RandomFlip", dict(prob=0.5)),
    ("PackDetInputs", {}),
]
RESIZED = [
    ("LoadImageFromFile", {}),
    ("Resize", dict(scale=SQUARE, keep_ratio=True)),
    ("LoadAnnotations", {}),
    ("PackDetInputs", {}),
]


def decay(epochs):
    """Five points of the cosine, which begins with the warm-up of 461 iterations."""
    quarters = {epochs * part: (1 + math.cos(math.pi * part)) / 2 for part in (0.25, 0.5, 0.75, 1)}
    return dict(length=epochs, schedule={0: 1e-3} | quarters)


RUN = dict(
    optimizer=("AdamW", 8e-5, (0.9, 0.999), 0.1),
    batch=32,
    clip_grad=None,
    warmup_iterations=461,
    **decay(25),
)
IMAGES = dict(
    train=JITTERED, test=RESIZED, padded=(SQUARE, SQUARE, SQUARE), normalization=IMAGENET_RGB
)
PYRAMID = dict(
    levels=[(256, side) for side in (256, 128, 64, 32, 16)],
    anchors=[32, 64, 128, 256, 512],
    classes={80},
)
# convolutions of the RPN, (convolutions, layers) of the box heads, convolutions of the mask heads
STRONG, PLAIN = (2, {(4, 1)}, {4}), (1, {(0, 2)}, {4})
MCMAE_DET = (
    paper(LSJ, **IMAGES)
    | paper(
        DET,
        **RUN,
        **PYRAMID,
        precision="float16",
        heads=STRONG,
        sizes=ARCHES["mcmae_b"]["sizes"],
        rates=same_rates(11),
        decayed={"weights", "biases"},
        drop_path=0.1,
        windows=(16, (0, 3, 6, 10)),
        positions="fixed",
        fusion=False,
    )
    | choice("GN instead of SyncBN", head_norms={"GroupNorm"})
    | choice("no relative position biases", relative_positions=False)
)
VIT_DET = (
    paper(LSJ, **IMAGES)
    | paper(
        VITDET,
        **PYRAMID,
        sizes=ARCHES["vit"]["sizes"],
        rates=vit_rates(0.7, 12),
        decayed={"weights", "biases"},
        drop_path=0.1,
        windows=(14, (2, 5, 8, 11)),
        positions="learned",
    )
    | choice("heads and schedule are those of MCMAE", **RUN, heads=STRONG, precision="float16")
    | choice("relative positions of ViTDet are left out", relative_positions=False)
    | choice("and the last LayerNorm, which are pre-trained, stay", level_norms=True)
    | choice("The [CLS] token", cls_token="trained")
)
UNVERIFIED = "could not be verified"
MIXMAE_DET = choice(
    UNVERIFIED,
    **RUN,
    **IMAGES,
    **PYRAMID,
    precision="float16",
    heads=PLAIN,
    rates=swin_rates(0.7, heads=1.0),
    decayed={"weights", "bias tables"},
    drop_path=0.2,
    windows=[14, 14, 14, "global"],
    positions="fixed",
    **swin(1024),
)
CROPPED = [
    ("LoadImageFromFile", {}),
    ("LoadAnnotations", dict(reduce_zero_label=True)),
    ("RandomResize", dict(scale=(2048, 512), ratio_range=(0.5, 2.0))),
    ("RandomCrop", dict(crop_size=(512, 512), cat_max_ratio=0.75)),
    ("RandomFlip", dict(prob=0.5)),
    ("PhotoMetricDistortion", dict(brightness_delta=32, hue_delta=18, contrast_upper=1.5)),
    ("PackSegInputs", {}),
]
WHOLE = [
    ("LoadImageFromFile", {}),
    ("Resize", dict(scale=(2048, 512), keep_ratio=True)),
    ("LoadAnnotations", dict(reduce_zero_label=True)),
    ("PackSegInputs", {}),
]
SEGMENTATION = dict(
    optimizer=("AdamW", 1e-4, (0.9, 0.999), 0.05),
    batch=16,
    per_process=2,
    clip_grad=None,
    length=160_000,
    schedule={0: 1e-6, 750: 0.5, 1500: 1.0, 80_750: 0.5, 160_000: 0.0},
    train=CROPPED,
    test=WHOLE,
    inference=("slide", (512, 512), (341, 341)),
    normalization=IMAGENET_RGB,
    classes={150},
)
BFLOAT16 = choice("bfloat16 instead of their float16", precision="bfloat16")
MCMAE_SEG = (
    paper(
        SEG,
        **SEGMENTATION,
        rates=vit_rates(0.75, 11),
        drop_path=0.2,
        positions="learned",
        sizes=ARCHES["mcmae_b"]["sizes"],
        windows=(None, ()),
        levels=[(256, 128), (384, 64), (768, 32), (768, 15)],
        decode_heads=(768, 0.1, 0.4),
        fusion=False,
    )
    | choice("The position embedding does not decay", decayed={"weights"})
    | choice("relative position bias and layer scale are left out", relative_positions=False)
    | choice("The levels are normalized", level_norms=True)
    | BFLOAT16
)
VIT_SEG = ours("the schedule is that of MCMAE", paper(SEG, **SEGMENTATION)) | choice(
    "are our choice",
    rates=vit_rates(0.65, 12),
    decayed={"weights"},
    drop_path=0.1,
    positions="learned",
    sizes=ARCHES["vit"]["sizes"],
    windows=(None, ()),
    levels=[(768, side) for side in (128, 64, 32, 16)],
    decode_heads=(768, 0.1, 0.4),
) | BFLOAT16  # fmt: skip
MIXMAE_SEG = ours(UNVERIFIED, paper(SEG, **SEGMENTATION)) | choice(
    UNVERIFIED,
    rates=swin_rates(0.7, heads=1.0),
    decayed={"weights", "bias tables"},
    drop_path=0.3,
    positions="fixed",
    windows=[14, 14, 14, "global"],
    levels=[(128, 128), (256, 64), (512, 32), (1024, 16)],
    decode_heads=(512, 0.1, 0.4),
    **swin(1024),
) | BFLOAT16  # fmt: skip
LARGE_LEVELS = [(192, 128), (384, 64), (768, 32), (1536, 16)]
COCO, ADE20K = "transfer/coco", "transfer/ade20k"
RECIPES = {
    f"{COCO}/mask_rcnn_mrmae_mcmae_b_25e.py": MCMAE_DET,
    f"{COCO}/cascade_mask_rcnn_mrmae_mcmae_b_25e.py": MCMAE_DET
    | choice("mmdet's cascade", heads=PLAIN),
    f"{COCO}/mask_rcnn_mrmae_vit_b_25e.py": VIT_DET,
    f"{COCO}/mask_rcnn_mixmae_swin_b_25e.py": MIXMAE_DET,
    f"{COCO}/mask_rcnn_mixmae_swin_b_36e.py": MIXMAE_DET | choice(UNVERIFIED, **decay(36)),
    f"{COCO}/cascade_mask_rcnn_mixmae_swin_b_36e.py": MIXMAE_DET | choice(UNVERIFIED, **decay(36)),
    f"{COCO}/mask_rcnn_mixmae_swin_l_36e.py": MIXMAE_DET
    | choice(
        UNVERIFIED, **decay(36), **swin(1536), drop_path=0.4, rates=swin_rates(0.8, heads=1.0)
    ),
    f"{ADE20K}/upernet_mrmae_mcmae_b_160k.py": MCMAE_SEG,
    f"{ADE20K}/upernet_mrmae_vit_b_160k.py": VIT_SEG,
    f"{ADE20K}/upernet_mixmae_swin_b_160k.py": MIXMAE_SEG,
    f"{ADE20K}/upernet_mixmae_swin_b_160k_whole.py": MIXMAE_SEG
    | choice("Inference on whole images is our choice", inference=("whole", None, None)),
    f"{ADE20K}/upernet_mixmae_swin_l_160k.py": MIXMAE_SEG
    | choice("those of Swin-B are our choice", **swin(1536), levels=LARGE_LEVELS),
}
