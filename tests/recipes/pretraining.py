"""Published settings of pre-training, and our choices."""

from rows import choice, ours, paper, same_rates, warmup_cosine

MIXMIM = "Sense-X/MixMIM 2b2f5a9: main_pretrain.py, models_mixmim.py, exp/base_600ep/pretrain.sh"
MCMAE = "Alpha-VL/ConvMAE 4c97b4c: models_convmae.py, vision_transformer.py"
MRMAE = "arXiv 2303.05475"
BFLOAT16 = "bfloat16 instead of their float16"
IMAGENET_RGB = ([123.68, 116.28, 103.53], [58.4, 57.12, 57.38], "RGB")
DIGITS = ([77.9] * 3, [95.9] * 3, "RGB")
SINGLE_CROP = [
    (
        "LoadRandomResizedCrop",
        dict(
            size=(224, 224),
            crop_ratio_range=(0.2, 1.0),
            aspect_ratio_range=(3 / 4, 4 / 3),
            flip_prob=0.5,
        ),
    ),
    ("PackInputs", {}),
]


def length(epochs):
    return dict(length=epochs, schedule=warmup_cosine(epochs, warmup=40))


ADAMW = dict(
    optimizer=("AdamW", 1.5e-4 * 2048 / 256, (0.9, 0.95), 0.05), batch=2048, clip_grad=None
)
DATA = dict(train=SINGLE_CROP, normalization=IMAGENET_RGB)
RUN = choice(BFLOAT16, precision="bfloat16")
SWIN = dict(
    decayed={"weights", "bias tables", "mask_token"},
    rates=same_rates(24),
    drop_path=0.0,
    positions="fixed",
    windows=[14, 14, 14, 7],
)


def swin(channels, depths=(2, 2, 18, 2)):
    return dict(sizes=(224, channels, depths))


MIXMAE = (
    paper(MIXMIM, **ADAMW, **DATA, **SWIN, **length(600), **swin(1024))
    | paper(MIXMIM, mask_ratio=0.5, decoder=(512, 8, 16, 1e-5), norm_pix=True)
    | RUN
    | choice("One mask serves the images of a process", per_process=256)
)
ARCHES = dict(
    vit=dict(sizes=(224, 768, (12,)), rates=same_rates(12)),
    mcmae_s=dict(sizes=(224, 384, (2, 2, 11)), rates=same_rates(11)),
    mcmae_b=dict(sizes=(224, 768, (2, 2, 11)), rates=same_rates(11)),
    mcmae_l=dict(sizes=(224, 1024, (2, 2, 23)), rates=same_rates(23)),
    mcmae_h=dict(sizes=(224, 1280, (2, 2, 31)), rates=same_rates(31)),
)


def mrmae(arch, epochs, **changes):
    rows = paper(
        MRMAE,
        mask_ratio=0.75,
        decoder=(512, 8, 16, 1e-6),
        norm_pix=True,
        length=epochs,
        decayed={"weights", "mask_token"} | ({"cls_token"} if arch == "vit" else set()),
        drop_path=0.0,
        positions="fixed",
        windows=(None, ()),
        clip_grad=None,
        **DATA,
        **ARCHES[arch],
    )
    rows |= choice(
        "are not public: ours are those of",
        optimizer=ADAMW["optimizer"],
        batch=2048,
        schedule=length(epochs)["schedule"],
    )
    return rows | choice("these are our choice", teachers=dict(clip="ViT-B-16")) | RUN | changes


DINO = "vit_base_patch16_224.dino"
BASELINE = choice("schedule are those of", **ADAMW, **length(400), normalization=IMAGENET_RGB) | RUN
RECIPES = {
    "mixmae/swin_b_600e.py": MIXMAE,
    "mixmae/swin_b_600e_knn.py": MIXMAE,
    "mixmae/swin_l_600e.py": MIXMAE
    | choice("the schedule of Swin-B is our choice", schedule=MIXMAE["schedule"].value)
    | paper(MIXMIM, **swin(1536)),
    "mixmae/swin_h_600e.py": MIXMAE
    | paper(MIXMIM, **swin(2816))
    | choice("the length and schedule of Swin-B", **length(600))
    | choice("16 GPUs * 128 images (our choice)", per_process=128),
    "mixmae/swin_t_w7_shifted_300e.py": ours("this schedule is our choice", MIXMAE)
    | choice(
        "this schedule is our choice",
        **length(300),
        **swin(768, (2, 2, 6, 2)),
        windows=[7, 7, 7, 7],
        rates=same_rates(12),
    ),
    "mrmae/mixmae_swin_b_400e.py": ours("neither paper combines them", MIXMAE)
    | choice("neither paper combines them", **length(400), teachers=dict(clip="ViT-B-16")),
    "mrmae/vit_b_200e.py": mrmae("vit", 200),
    "mrmae/vit_b_400e.py": mrmae("vit", 400),
    "mrmae/vit_b_400e_knn.py": mrmae("vit", 400),
    "mrmae/vit_b_dino_400e.py": mrmae(
        "vit", 400, **choice("the teacher's size is our choice", teachers=dict(dino=DINO))
    ),
    "mrmae/vit_b_clip_dino_400e.py": mrmae(
        "vit",
        400,
        **choice(
            "weights of the two teachers are our choice",
            teachers=dict(clip="ViT-B-16", dino=DINO),
        ),
    ),
    "mrmae/vit_b_focused_fusion_400e.py": mrmae("vit", 400),
    "mrmae/mcmae_b_dino_400e.py": mrmae(
        "mcmae_b", 400, **choice("The teacher's size is our choice", teachers=dict(dino=DINO))
    ),
    "mrmae/mcmae_s_200e.py": mrmae("mcmae_s", 200),
    "mrmae/mcmae_b_200e.py": mrmae("mcmae_b", 200),
    "mrmae/mcmae_b_400e.py": mrmae("mcmae_b", 400),
    "mrmae/mcmae_l_200e.py": mrmae("mcmae_l", 200),
    "mrmae/mcmae_h_200e.py": mrmae("mcmae_h", 200),
    "baselines/mae_vit_b_400e.py": BASELINE
    | choice(
        "schedule are those of", train=SINGLE_CROP, decayed={"weights", "mask_token", "cls_token"}
    ),
    "baselines/simmim_swin_b_400e.py": BASELINE
    | choice(
        "the pipeline only adds the mask generator",
        train=[SINGLE_CROP[0], ("SimMIMMaskGenerator", dict(mask_ratio=0.6)), SINGLE_CROP[1]],
        decayed={"weights", "bias tables", "mask_token"},
    ),
    "baselines/beitv2_vit_b_400e.py": BASELINE,
    "quickstart/mixmae_digits.py": choice(
        "Sizes and schedule are our choice",
        optimizer=("AdamW", 2e-3, (0.9, 0.95), 0.05),
        length=140,
        schedule={0: 1e-3, 5: 1.0, 72.5: 0.5, 140: 0.0},
        norm_pix=False,
        normalization=DIGITS,
        sizes=(32, 64, (2, 4)),
        windows=[8, 4],
    ),
}
RECIPES["mixmae/swin_h_600e_zero.py"] = RECIPES["mixmae/swin_h_600e.py"]
RECIPES["mixmae/swin_h_600e_fsdp2.py"] = RECIPES["mixmae/swin_h_600e.py"]
PVT = ours("Schedule and size are our choice", MIXMAE) | choice(
    "Schedule and size are our choice", **length(300), **swin(512, (3, 4, 6, 3)), drop_path=0.0
)
for absent in ("windows", "positions", "rates", "decayed"):
    PVT.pop(absent)
RECIPES["mixmae/pvt_s_300e.py"] = PVT
