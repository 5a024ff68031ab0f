# CLIP as the teacher. The paper does not specify its size and features: these are our choice.
clip_target = dict(
    type="mim_plugins.OpenCLIPTarget",
    model_name="ViT-B-16",
    pretrained="openai",  # or the path of a file with these weights
    tag="openai",
    features="norm",
    normalize=True,
)
