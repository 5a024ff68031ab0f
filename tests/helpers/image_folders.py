"""Folders of images that tests write: plain ones, class folders and COCO's layout."""

import json
import os

import numpy as np
from PIL import Image

COLORS = dict(blue=2, green=1, red=0)
"""Classes of :func:`write_colors`, each with its bright channel."""


def write_images(folder, count=1, size=(48, 56), suffix="jpg", seed=0, channel=None):
    """Write images of noise, 00.jpg, 01.jpg and so on; one channel may be brighter."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        pixels = generator.integers(0, 256 if channel is None else 60, (*size, 3), dtype=np.uint8)
        if channel is not None:
            pixels[..., channel] += 190
        Image.fromarray(pixels).save(folder / f"{index:02d}.{suffix}")
    return folder


def write_tiny_images(root, *names):
    """Write images of 4 x 4 pixels at paths below a folder, which is returned."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(root / name)
    return root


def write_smooth_images(folder, count, size=(120, 150), suffix="jpg"):
    """Write images whose pixels resemble their neighbors, which survive JPEG and resizing."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for index in range(count):
        small = Image.fromarray(generator.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        image = small.resize((size[1] + index, size[0]), Image.Resampling.BICUBIC)
        image.save(folder / f"{index:02d}.{suffix}")
    return folder


def write_classes(root, train="abc", val=None, images=2):
    """Write class folders of both splits; ``val`` has the classes of ``train`` if None."""
    for split, names in (("train", train), ("val", train if val is None else val)):
        for name in names:
            write_images(root / split / name, images, (40, 48), "png")
    return root


def flatten_val(root, first=0):
    """Move the images of class folders into a flat ``val`` with a list, as ImageNet's archive."""
    lines = []
    for label, folder in enumerate(sorted((root / "val").iterdir()), first):
        for path in sorted(folder.iterdir()):
            path.rename(root / "val" / f"{folder.name}_{path.name}")
            lines.append(f"{folder.name}_{path.name} {label}\n")
        folder.rmdir()
    (root / "meta").mkdir(exist_ok=True)
    (root / "meta/val.txt").write_text("".join(lines))
    return root


def write_colors(root, train=6, val=3, side=64):
    """Write class folders of images whose class is their color."""
    for split, count in (("train", train), ("val", val)):
        for seed, (name, channel) in enumerate(COLORS.items()):
            write_images(root / split / name, count, (side, side), "png", seed, channel)
    return root


def write_coco(root, train=4, val=2, side=64):
    """Write noise with a bright rectangle per image, of one of two of COCO's 80 classes."""
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


def touch(root, *names):
    """Write empty files at paths below a folder."""
    for name in names:
        file = os.path.join(root, name)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb"):
            pass
