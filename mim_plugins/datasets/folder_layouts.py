"""Files and folders that the data sets of the recipes consist of."""

COCO = (
    "annotations/instances_train2017.json",
    "annotations/instances_val2017.json",
    "train2017/",
    "val2017/",
)
ADE20K = (
    "images/training/",
    "images/validation/",
    "annotations/training/",
    "annotations/validation/",
)
IMAGENET = ("train/CLASS/IMAGE.JPEG", "val/CLASS/IMAGE.JPEG")


def describe_layout(dataset: str) -> str:
    """Describe the folder of a data set, by the name of its class."""
    if "Coco" in dataset:
        return f"For COCO it contains {_listed(COCO)}"
    if "ADE20K" in dataset:
        return f"For ADE20K it contains {_listed(ADE20K)}"
    return (
        f"For ImageNet it contains {_listed(IMAGENET)}; any folder of images is sufficient for"
        " pre-training"
    )


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
