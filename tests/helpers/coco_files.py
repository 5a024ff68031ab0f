"""A tiny data set in COCO's format, for tests that need real files."""

import json

import numpy as np
from PIL import Image


def write_coco(root, train=4, val=2, side=64):
    """Noise with one bright rectangle per image, of one of two of COCO's 80 classes."""
    from mmdet.datasets import CocoDataset

    names = CocoDataset.METAINFO["classes"]
    categories = [dict(id=index + 1, name=name) for index, name in enumerate(names)]
    generator = np.random.default_rng(0)
    (root / "annotations").mkdir(parents=True)
    for split, count in (("train2017", train), ("val2017", val)):
        (root / split).mkdir()
        images, annotations = [], []
        for index in range(count):
            pixels = generator.integers(0, 80, (side, side, 3), dtype=np.uint8)
            left, top = (int(v) for v in generator.integers(0, side // 2, 2))
            width, height = (int(v) for v in generator.integers(side // 4, side // 2, 2))
            pixels[top : top + height, left : left + width] += 150
            name = f"{index:012d}.jpg"
            Image.fromarray(pixels).save(root / split / name)
            images.append(dict(id=index, file_name=name, width=side, height=side))
            right, bottom = left + width, top + height
            annotations.append(
                dict(
                    id=index + 1,
                    image_id=index,
                    category_id=1 + index % 2,
                    bbox=[left, top, width, height],
                    area=width * height,
                    iscrowd=0,
                    segmentation=[[left, top, right, top, right, bottom, left, bottom]],
                )
            )
        content = dict(images=images, annotations=annotations, categories=categories)
        (root / f"annotations/instances_{split}.json").write_text(json.dumps(content))
    return root
