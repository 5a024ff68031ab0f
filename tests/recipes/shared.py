"""Settings that recipes of a kind share; papers and their code state or imply all of them."""

import re

BATCHES = dict(pretrain=256, finetune=128, linear_probe=2048, coco=4, ade20k=2)
PLACES205 = (
    "Places205 trainvalsplit_places205/{}_places205.csv data/vision/torralba/deeplearning/images256"
)
# data set and part; the first that occurs in the name of a config
DATA = dict(
    inat="INaturalist {}",
    places205=PLACES205,
    places365="Places365 {}",
    coco="CocoDataset annotations/instances_{}2017.json {}2017/",
    ade20k="ADE20KDataset images/{}",
    linear_probe="ImageNet {}",
    finetune="ImageNet {}",
)
SMALLER_BATCHES = dict(swin_h_600e=128, swin_h_finetune=64, swin_b_384=64, swin_l_384=64)
CROP = {
    "train.RandomResizedCrop.backend": "pillow",
    "train.RandomResizedCrop.interpolation": "bicubic",
    "train.RandomFlip.direction": "horizontal",
    "test.ResizeEdge.backend": "pillow",
    "test.ResizeEdge.interpolation": "bicubic",
}
RESIZE = {
    "train.RandomResize.backend": "cv2",
    "train.RandomResize.interpolation": "bilinear",
    "train.RandomResize.keep_ratio": "True",
    "train.RandomFlip.direction": "horizontal",
    "test.Resize.backend": "cv2",
    "test.Resize.interpolation": "bilinear",
    "test.Resize.keep_ratio": "True",
}
TRANSFORMS = dict(
    pretrain={"train.LoadRandomResizedCrop.backend": "fast"},
    linear_probe=CROP,
    finetune=CROP
    | {
        # in BGR, the order in which images are loaded; timm fills with the mean as well
        "train.RandAugment.interpolation": "bicubic",
        "train.RandAugment.pad_val": "(104, 116, 124)",
        "train.RandAugment.direction": "horizontal/vertical",
        "train.RandomErasing.fill_color": "[103.53, 116.28, 123.675]",
        "train.RandomErasing.fill_std": "[57.375, 57.12, 58.395]",
    },
    ade20k=RESIZE,
    coco=RESIZE | {"train.FilterAnnotations.min_gt_bbox_wh": "(0.01, 0.01)"},
)
CLASSIFIER = {
    "type": "ImageClassifier",
    "head.type": "LinearClsHead",
    "head.init_cfg.type": "TruncNormal",
    "head.init_cfg.layer": "Linear",
}
GN = {"type": "GN", "num_groups": 32}


def under(path, **values):
    return {f"{path}.{key}": value for key, value in values.items()}


CLIP = under(
    "mimics.clip.target_generator",
    type="mim_plugins.OpenCLIPTarget",
    pretrained="openai",
    tag="openai",
    features="norm",
    normalize=True,
)
DINO = under(
    "mimics.dino.target_generator", type="mim_plugins.TimmTarget", pretrained=True, normalize=True
)
STRONG = (
    {"rpn_head.num_convs": 2, "roi_head.bbox_head.type": "Shared4Conv1FCBBoxHead"}
    | under("roi_head.bbox_head.norm_cfg", **GN)
    | under("roi_head.mask_head.norm_cfg", **GN)
)
FPN = (
    {"neck.0.type": "mim_plugins.PooledLevel"}
    | under("neck.1", type="FPN", out_channels=256, num_outs=5)
    | under("neck.1.norm_cfg", **GN)
    | under("neck", type=None, out_channels=None, num_outs=None)  # of mmdet's single neck
)
PYRAMID = under("neck", type="mim_plugins.SimpleFeaturePyramid", out_channels=None)
FOUR_MAPS = under("neck", type="Feature2Pyramid", embed_dim=768, rescales=[4, 2, 1, 0.5])


def kind_of(name):
    folders, _, file = name.rpartition("/")
    for kind in ("coco", "ade20k", "quickstart", "baselines"):
        if kind in folders:
            return kind
    if "linear_probe" in file:
        return "linear_probe"
    return "finetune" if "finetune" in file or folders.startswith("transfer") else "pretrain"


def shared_settings(name):
    """Return the values that measured_settings must have; the tables contain the others."""
    kind, file = kind_of(name), name.rpartition("/")[2]
    found = dict(optimization=({}, 1, []))
    if kind == "quickstart":
        return found
    data = "pretrain" if kind == "baselines" else kind
    batch = next((n for part, n in SMALLER_BATCHES.items() if part in file), BATCHES[data])
    sampler = "InfiniteSampler" if kind == "ade20k" else "DefaultSampler"
    found |= dict(loader=(batch, sampler, True), data=_data(name), start=_start(kind, file))
    if "beitv2" not in file:
        found |= dict(transforms=TRANSFORMS[data])
    if kind == "baselines":
        return found
    return found | dict(encoder=_encoder(kind, file), method=_method(kind, file))


def _data(name):
    part = next((text for key, text in DATA.items() if key in name), None)
    if part is None:
        return ["UnlabeledImageFolder train"]
    train, val = ("training", "validation") if "ade20k" in name else ("train", "val")
    share = re.search(r"\d+percent", name)
    listed = f" meta/train_{share[0]}.txt" if share else ""
    return [part.format(train, train) + listed, *[part.format(val, val)] * 2]


def _start(kind, file):
    if kind in ("pretrain", "baselines"):
        return None
    family = re.search("swin_[blh]|mcmae_[sblh]|vit_b", file)[0]
    return f"{family}_{600 if 'swin' in family else 400 if family.endswith('b') else 200}e"


def _encoder(kind, file):
    found = {}
    if kind in ("pretrain", "linear_probe"):
        return dict(shift_windows=True) if "shifted" in file else found
    if "mcmae" in file:
        found |= dict(fuse_stages=False)
    if "swin" not in file and (kind, "mcmae" in file) != ("coco", True):
        found |= dict(learn_pos_embed=True)
    if kind == "finetune":
        return found | dict(out_type="avg_featmap")
    if "swin" in file:
        return found | dict(out_indices=(0, 1, 2, 3))
    if "mcmae" in file:
        found |= dict(out_indices=(0, 1, 2))
    if kind == "coco":
        blocks = (0, 3, 6, 10) if "mcmae" in file else (2, 5, 8, 11)
        return found | dict(global_blocks=blocks)
    return found if "mcmae" in file else found | dict(out_indices=(2, 5, 8, 11))


def _method(kind, file):
    if kind == "finetune":
        return CLASSIFIER | under("head.loss", type="LabelSmoothLoss", mode="original")
    if kind == "linear_probe":
        loss = {"head.loss.type": "CrossEntropyLoss"}
        return CLASSIFIER | loss | {"neck.type": "ClsBatchNormNeck"}
    if (kind == "coco" and "mixmae" in file) or (kind == "ade20k" and "swin" in file):
        return {}
    if kind == "coco":
        heads = {} if file.startswith("cascade") else STRONG
        return heads | (FPN if "mcmae" in file else PYRAMID)
    if kind == "ade20k":
        return {"neck.type": "mim_plugins.ExtraLevel"} if "mcmae" in file else FOUR_MAPS
    return _pretraining(file)


def _pretraining(file):
    name = "MixMAE" if "swin" in file or "pvt" in file else "MRMAE"
    decoder = "MixMAEDecoder" if name == "MixMAE" else "MAEDecoder"
    found = {"type": f"mim_plugins.{name}", "decoder.type": f"mim_plugins.{decoder}"}
    found |= {"head.type": "mim_plugins.PixelHead"}
    if file.startswith("mixmae"):
        return found | CLIP | {"mimics.clip.grid_scale": 2}
    if name == "MixMAE":
        return found
    weights = under("mimics.clip", distance="mse", weight=0.5 if "dino" in file else 1.0)
    if "dino" not in file or "clip" in file:
        found |= CLIP | weights
    if "dino" in file:
        found |= DINO | ({"mimics.dino.weight": 0.5} if "clip" in file else {})
    if "fusion" in file:
        found |= {"mimics.clip.fusion_layers": (2, 5, 8)}
        found |= dict(focus_teacher="clip", focus_temperature=1.0)
    return found
