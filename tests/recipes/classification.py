"""Published settings of fine-tuning and linear probes, and our choices."""

from pretraining import ARCHES, BFLOAT16, DIGITS, IMAGENET_RGB, swin
from rows import choice, ours, paper, swin_rates, vit_rates, warmup_cosine

MIXMIM = "Sense-X/MixMIM 2b2f5a9: main_finetune.py, util/, exp/base_600ep/finetune.sh"
MAE = "facebookresearch/mae efb2a80: main_finetune.py, util/; arXiv 2111.06377, table 9"
MCMAE = "Alpha-VL/ConvMAE 4c97b4c: main_finetune.py, util/, FINETUNE.md"
LINEAR = "arXiv 2111.06377, table 10; facebookresearch/mae efb2a80: main_linprobe.py"
LR = 5e-4 * 1024 / 256


def crop(side):
    whole = dict(crop_ratio_range=(0.08, 1.0), aspect_ratio_range=(3 / 4, 4 / 3))
    return [
        ("LoadImage", {}),
        ("RandomResizedCrop", dict(scale=(side, side), interpolation="bicubic", **whole)),
        ("RandomFlip", dict(prob=0.5)),
    ]


def augmented(side):
    return [
        *crop(side),
        (
            "RandAugment",
            dict(num_policies=2, magnitude_level=9, magnitude_std=0.5, total_level=10),
        ),
        (
            "RandomErasing",
            dict(
                erase_prob=0.25,
                mode="rand",
                min_area_ratio=0.02,
                max_area_ratio=1 / 3,
                aspect_range=(0.3, 1 / 0.3),
            ),
        ),
        ("PackInputs", {}),
    ]


def center_crop(resized, side):
    return [
        ("LoadImageFromFile", {}),
        ("ResizeEdge", dict(scale=resized, edge="short", interpolation="bicubic")),
        ("CenterCrop", dict(crop_size=(side, side))),
        ("PackInputs", {}),
    ]


# what timm's rand-m9-mstd0.5-inc1 draws from, at a magnitude of 10
COLOR_RANGES = dict(
    AutoContrast=None,
    Equalize=None,
    Invert=None,
    Rotate=(0, 30),
    Posterize=(4, 0),
    Solarize=(256, 0),
    SolarizeAdd=(0, 110),
    ColorTransform=(0, 0.9),
    Contrast=(0, 0.9),
    Brightness=(0, 0.9),
    Sharpness=(0, 0.9),
    Shear=(0, 0.3),
    Translate=(0, 0.45),
)


def fine_tuning(source, **values):
    rows = paper(
        source,
        optimizer=("AdamW", LR, (0.9, 0.999), 0.05),
        batch=1024,
        clip_grad=None,
        length=100,
        schedule=warmup_cosine(100, warmup=5, end=1e-6 / LR),
        train=augmented(224),
        color_ranges=COLOR_RANGES,
        mixing=(dict(Mixup=0.8, CutMix=1.0), None),
        test=center_crop(256, 224),
        normalization=IMAGENET_RGB,
        smoothing=(0.1, 2e-5),
        classes={1000},
        drop_path=0.1,
        **values,
    )
    rows |= choice(BFLOAT16, precision="bfloat16")
    return rows | choice("RandomErasing fills in 8-bit colors", erased_type="uint8")


SWIN_B = fine_tuning(
    MIXMIM,
    decayed={"weights", "bias tables"},
    rates=swin_rates(0.7, heads=0.7),
    positions="fixed",
    windows=[14, 14, 14, 7],
    **swin(1024),
)
VIT = dict(decayed={"weights"}, positions="learned", windows=(None, ()))
VIT_B = fine_tuning(MAE, **VIT, sizes=ARCHES["vit"]["sizes"], rates=vit_rates(0.65, 12))


def mcmae(size, blocks=11):
    sizes = ARCHES[f"mcmae_{size}"]["sizes"]
    return fine_tuning(MCMAE, **VIT, sizes=sizes, rates=vit_rates(0.65, blocks), fusion=False)


SIDE_384 = dict(train=augmented(384), test=center_crop(384, 384))
SIZE_384 = paper(
    MIXMIM, **SIDE_384, sizes=(384, 1024, (2, 2, 18, 2)), windows=[16, 16, 24, 12]
) | choice(
    "The schedule, which is that of 224 px, and the batch per GPU are our choice",
    schedule=SWIN_B["schedule"].value,
    per_process=64,
)
PROBE = paper(
    LINEAR,
    optimizer=("LARS", 0.1 * 16384 / 256, 0.9, 0.0),
    batch=16384,
    length=90,
    schedule=warmup_cosine(90, warmup=10),
    train=[*crop(224), ("PackInputs", {})],
    test=center_crop(256, 224),
    normalization=IMAGENET_RGB,
    smoothing=(0.0, 0.01),
    mixing=None,
    drop_path=0.0,
    classes={1000},
) | choice(BFLOAT16, precision="bfloat16")
MODELS = dict(
    mixmae_swin_b=("mixmae/swin_b", SWIN_B),
    mrmae_vit_b=("mrmae/vit_b", VIT_B),
    mrmae_mcmae_b=("mrmae/mcmae_b", mcmae("b")),
)
DATASETS = dict(inat2018=8142, inat2019=1010, places205=205, places365=365)
RECIPES = {
    "mixmae/swin_b_384_finetune_100e.py": SWIN_B | SIZE_384,
    "mixmae/swin_l_finetune_100e.py": ours("those of Swin-B, with a drop path", SWIN_B)
    | paper(MIXMIM, **swin(1536))
    | choice("drop path rate of 0.2, are our choice", drop_path=0.2),
    "mixmae/swin_h_finetune_100e.py": ours("those of Swin-B, with a drop path", SWIN_B)
    | paper(MIXMIM, **swin(2816))
    | choice("rate of 0.3 and gradient checkpointing, are our choice", drop_path=0.3),
    "mixmae/swin_l_384_finetune_100e.py": ours("settings for L are our choice", SWIN_B | SIZE_384)
    | paper(MIXMIM, sizes=(384, 1536, (2, 2, 18, 2)))
    | choice("settings for L are our choice", drop_path=0.2),
    "mixmae/swin_b_linear_probe_90e.py": ours("so this is our choice", PROBE),
    "mrmae/vit_b_linear_probe_90e.py": PROBE
    | choice("the mean of the patch tokens", features="mean of tokens"),
    "mrmae/mcmae_b_linear_probe_90e.py": PROBE
    | choice("as vit_b_linear_probe_90e.py", features="mean of tokens")
    | choice("Fusing the convolution stages as in pre-training is our choice", fusion=True),
    "mrmae/mcmae_s_finetune_100e.py": ours("The settings of MCMAE-B", mcmae("s")),
    "mrmae/mcmae_l_finetune_100e.py": ours("The settings of MCMAE-B", mcmae("l", 23))
    | choice("drop path rate of 0.2 are our choice", drop_path=0.2),
    "mrmae/mcmae_h_finetune_100e.py": ours("The settings of MCMAE-B", mcmae("h", 31))
    | choice("drop path rate of 0.3 are our choice", drop_path=0.3),
    "quickstart/finetune_digits.py": choice(
        "Batch and labels per class were chosen",
        optimizer=("AdamW", 2e-3, (0.9, 0.999), 0.05),
        length=25,
        schedule={0: 1e-3, 2: 1.0, 13.5: 0.5, 25: 0.0},
        rates=swin_rates(0.9, heads=1.0, blocks=6),
        sizes=(32, 64, (2, 4)),
        windows=[8, 4],
        mixing=None,
        classes={10},
        normalization=DIGITS,
    ),
}
for name, (path, rows) in MODELS.items():
    RECIPES[f"{path}_finetune_100e.py"] = rows
    few = ours("are our choice", rows)
    RECIPES[f"{path}_finetune_10percent.py"] = few
    RECIPES[f"{path}_finetune_1percent.py"] = few | choice(
        "ten times the epochs, is our choice",
        length=1000,
        schedule=warmup_cosine(1000, warmup=5, end=1e-6 / LR),
    )
    for data, number in DATASETS.items():
        RECIPES[f"transfer/{data}/{name}_{data}_100e.py"] = ours(
            "those of ImageNet-1k are our choice", rows
        ) | paper("the data set", classes={number})
