import json
import re
from pathlib import Path

import pytest
from tool_runs import run_tool


def prepare(*arguments):
    return run_tool("dataset_converters/prepare_dataset.py", *arguments).stdout


def refused(*arguments):
    """Return everything that the tool prints when it refuses a data set."""
    return "".join(run_tool("dataset_converters/prepare_dataset.py", *arguments, code=1))


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def write(root, name, content):
    touch(root, name)
    (root / name).write_text(content if isinstance(content, str) else json.dumps(content))


TRAIN = ("train/n01/a.JPEG", "train/n02/b.JPEG", "train/n02/c.JPEG")
VAL = ("val/ILSVRC2012_val_00000001.JPEG", "val/ILSVRC2012_val_00000002.JPEG")


def test_imagenet_with_class_folders_is_usable(tmp_path):
    touch(tmp_path, *TRAIN, "val/n01/x.JPEG", "val/n02/y.JPEG")
    printed = prepare("imagenet", tmp_path)
    assert "train: 3 images; note: 2 classes; ImageNet-1k has 1000" in printed
    assert "val: 2 images; note: the official split has 50000" in printed
    assert f"usable: give it as --data-root {tmp_path}" in printed


def test_imagenet_with_other_classes_in_val_is_refused(tmp_path):
    touch(tmp_path, *TRAIN, "val/n02/y.JPEG")
    assert re.search(r"different class folders \(n01 ...\)", refused("imagenet", tmp_path))


def test_flat_val_without_labels_names_their_source(tmp_path):
    touch(tmp_path, *TRAIN, *VAL)
    assert re.search(
        r"LOC_val_solution.csv .* ILSVRC2012_devkit_t12", refused("imagenet", tmp_path)
    )


def test_mmpretrain_reads_the_list_written_from_kaggle_labels(tmp_path):
    from mmpretrain.datasets import ImageNet

    touch(tmp_path, *TRAIN, *VAL)
    csv = "ImageId,PredictionString\n"
    csv += "ILSVRC2012_val_00000002,n01 1 2 3 4 n01 5 6 7 8\nILSVRC2012_val_00000001,n02 1 2 3 4\n"
    write(tmp_path, "LOC_val_solution.csv", csv)
    assert "meta/val.txt: 2 labels" in prepare("imagenet", tmp_path)
    data = ImageNet(str(tmp_path), split="val", pipeline=[])
    found = {Path(data[i]["img_path"]).name: data[i]["gt_label"] for i in range(len(data))}
    assert found == {Path(VAL[0]).name: 1, Path(VAL[1]).name: 0}
    # the second run writes nothing
    assert "wrote" not in prepare("imagenet", tmp_path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("ILSVRC2012_val_00000001,n01 1 2\n", "no label for 1 images of val, such as"),
        ("ILSVRC2012_val_00000001,n01\nILSVRC2012_val_00000002", "no label for ILSVRC2012_val"),
        (
            "".join(f"ILSVRC2012_val_0000000{number},n01\n" for number in (1, 2, 3)),
            "no image for 1 of 3 labels of",
        ),
    ],
)
def test_incomplete_labels_of_imagenet_are_refused(tmp_path, rows, message):
    touch(tmp_path, *TRAIN, *VAL)
    write(tmp_path, "LOC_val_solution.csv", f"ImageId,PredictionString\n{rows}")
    assert message in refused("imagenet", tmp_path)
    assert not (tmp_path / "meta").exists()


def test_list_of_imagenet_has_the_files_of_any_suffix(tmp_path):
    touch(tmp_path, *TRAIN, "val/ILSVRC2012_val_00000001.jpg", "val/ILSVRC2012_val_00000002.png")
    rows = "ILSVRC2012_val_00000002,n01 1\nILSVRC2012_val_00000001,n02 1\n"
    write(tmp_path, "LOC_val_solution.csv", f"ImageId,PredictionString\n{rows}")
    prepare("imagenet", tmp_path)
    lines = (tmp_path / "meta/val.txt").read_text().splitlines()
    assert lines == ["ILSVRC2012_val_00000001.jpg 1", "ILSVRC2012_val_00000002.png 0"]


def test_list_of_imagenet_that_cannot_be_written_is_one_line(tmp_path):
    touch(tmp_path, *TRAIN, *VAL, "meta")
    rows = "".join(f"{Path(name).stem},n01 1\n" for name in VAL)
    write(tmp_path, "LOC_val_solution.csv", f"ImageId,PredictionString\n{rows}")
    assert "cannot write" in refused("imagenet", tmp_path)


def test_list_is_written_from_the_devkit(tmp_path):
    io = pytest.importorskip("scipy.io")
    import numpy as np

    touch(tmp_path / "root", *TRAIN, *VAL)
    devkit = tmp_path / "ILSVRC2012_devkit_t12"
    write(devkit, "data/ILSVRC2012_validation_ground_truth.txt", "7\n3\n")
    synsets = np.array(
        [(3, "n01"), (7, "n02")], dtype=[("ILSVRC2012_ID", object), ("WNID", object)]
    )
    io.savemat(devkit / "data/meta.mat", dict(synsets=synsets))
    prepare("imagenet", tmp_path / "root", "--val-labels", devkit)
    lines = (tmp_path / "root/meta/val.txt").read_text().splitlines()
    assert lines == [f"{Path(VAL[0]).name} 1", f"{Path(VAL[1]).name} 0"]


def test_packed_classes_and_missing_folders_are_refused(tmp_path):
    assert re.search(
        r"has no train: unpack ILSVRC2012_img_train.tar there", refused("imagenet", tmp_path)
    )
    touch(tmp_path, "train/n01.tar", *VAL)
    assert re.search(r"1 archives such as n01.tar: unpack each", refused("imagenet", tmp_path))
    assert re.search(r"there is no folder", refused("imagenet", tmp_path / "nowhere"))


@pytest.mark.parametrize(("year", "classes"), [(2018, 8142), (2019, 1010)])
def test_inaturalist(tmp_path, year, classes):
    for split in ("train", "val"):
        images = [f"train_val{year}/Aves/{i}/{split}{i}.jpg" for i in range(2)]
        content = dict(
            categories=[dict(id=i) for i in range(classes)],
            images=[dict(id=i, file_name=name) for i, name in enumerate(images)],
            annotations=[dict(image_id=i, category_id=i) for i in range(2)],
        )
        write(tmp_path, f"{split}{year}.json", content)
        touch(tmp_path, *images)
    assert "train: 2 images" in prepare(f"inat{year}", tmp_path)
    (tmp_path / f"train_val{year}/Aves/1/val1.jpg").unlink()
    printed = refused(f"inat{year}", tmp_path)
    assert "not a usable inat" in printed
    assert "error: val: 1 listed images are missing, such as" in printed
    (tmp_path / f"val{year}.json").unlink()
    assert re.search(rf"val{year}.json.tar.gz", refused(f"inat{year}", tmp_path))


def test_places365_in_both_sizes(tmp_path):
    write(tmp_path, "categories_places365.txt", "".join(f"/a/scene{i} {i}\n" for i in range(365)))
    write(tmp_path, "places365_train_standard.txt", "/a/scene0/x.jpg 0\n")
    write(tmp_path, "places365_val.txt", "y.jpg 3\n")
    touch(tmp_path, "data_256/a/scene0/x.jpg", "val_256/y.jpg")
    assert "train: 1 images" in prepare("places365", tmp_path)
    touch(tmp_path, "data_large/a/scene0/x.jpg")
    assert re.search(r"val_large\.tar", refused("places365", tmp_path))


def test_places205(tmp_path):
    folder = "data/vision/torralba/deeplearning/images256"
    for split in ("train", "val"):
        write(
            tmp_path, f"trainvalsplit_places205/{split}_places205.csv", f"a/abbey/{split}.jpg 0\n"
        )
        touch(tmp_path, f"{folder}/a/abbey/{split}.jpg")
    assert "val: 1 images" in prepare("places205", tmp_path)
    write(tmp_path, "trainvalsplit_places205/val_places205.csv", "a/abbey/val.jpg 205\n")
    assert re.search(
        r"'a/abbey/val.jpg 205'; .* label from 0 to 204", refused("places205", tmp_path)
    )


def test_places205_in_another_order_is_refused(tmp_path):
    for split in ("train", "val"):
        name = f"a/apartment_building/outdoor/{split}.jpg"
        write(tmp_path, f"trainvalsplit_places205/{split}_places205.csv", f"{name} 8\n")
        touch(tmp_path, f"data/vision/torralba/deeplearning/images256/{name}")
    assert re.search(
        r"label 8, but apartment_building/outdoor has .* 13", refused("places205", tmp_path)
    )


def test_coco(tmp_path):
    for split in ("train2017", "val2017"):
        content = dict(images=[dict(file_name="1.jpg")], annotations=[], categories=[{}] * 80)
        write(tmp_path, f"annotations/instances_{split}.json", content)
        touch(tmp_path, f"{split}/1.jpg")
    assert "train2017: 1 images; note: the official split has 118287" in prepare("coco", tmp_path)
    (tmp_path / "annotations/instances_val2017.json").unlink()
    assert re.search(
        r"instances_val2017\.json: unpack .*trainval2017\.zip", refused("coco", tmp_path)
    )


def test_ade20k(tmp_path):
    for split in ("training", "validation"):
        touch(tmp_path, f"images/{split}/1.jpg", f"annotations/{split}/1.png")
    assert "validation: 1 images" in prepare("ade20k", tmp_path)
    (tmp_path / "annotations/training/1.png").unlink()
    touch(tmp_path, "annotations/training/2.png")
    assert re.search(r"1 images of training have no '1.png'", refused("ade20k", tmp_path))


def test_hidden_folders_and_links_to_parents_are_no_classes(tmp_path):
    touch(tmp_path, *TRAIN, "val/n01/x.JPEG", "val/n02/y.JPEG")
    touch(tmp_path, "train/.ipynb_checkpoints/a.JPEG", "val/__MACOSX/._x.JPEG")
    (tmp_path / "train/n01/up").symlink_to("..")

    printed = prepare("imagenet", tmp_path)

    assert "train: 3 images; note: 2 classes" in printed
    assert "val: 2 images" in printed
    assert "1 hidden folders" in printed
    assert "1 links to a folder above them" in printed


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_of_any_encoding_are_read(tmp_path, encoding):
    touch(tmp_path, *TRAIN, *VAL)
    lines = [f"{Path(name).name} {label}\r\n" for label, name in enumerate(VAL)]
    touch(tmp_path, "meta/val.txt")
    (tmp_path / "meta/val.txt").write_bytes("".join(lines).encode(encoding))

    assert "val (meta/val.txt): 2 images" in prepare("imagenet", tmp_path)
