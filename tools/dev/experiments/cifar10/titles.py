"""Names of the starts in tables and figures."""

NAMES = dict(
    random_swin="random weights, Swin",
    mixmae="MixMAE",
    simmim="SimMIM",
    random_vit="random weights, ViT",
    mae="MAE",
    mrmae="MR-MAE",
)
