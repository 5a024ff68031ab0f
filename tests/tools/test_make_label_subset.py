import os

import pytest
from mmengine.registry import DefaultScope
from tool_runs import run_tool

from mim_plugins.datasets.image_files import IMAGE_SUFFIXES
from mim_plugins.datasets.image_lists import read_labeled_list

TOOL = "dataset_converters/make_label_subset.py"
COUNTS = dict(a=200, b=50, c=3)


@pytest.fixture
def root(tmp_path):
    for name, count in COUNTS.items():
        (tmp_path / "train" / name).mkdir(parents=True)
        for index in range(count):
            (tmp_path / "train" / name / f"{name}_{index:03d}.JPEG").touch()
    return tmp_path


def make(root, *arguments, code=0):
    return run_tool(TOOL, root, *arguments, code=code)


def lines(file):
    return [line.split(" ") for line in file.read_text().splitlines()]


@pytest.mark.parametrize(
    ("fraction", "name", "counts"),
    [
        ("0.01", "train_1percent.txt", [2, 1, 1]),
        ("0.1", "train_10percent.txt", [20, 5, 1]),
        ("1", "train_100percent.txt", [200, 50, 3]),
    ],
)
def test_fraction_applies_to_every_class(root, fraction, name, counts):
    result = make(root, "--fraction", fraction)

    entries = lines(root / "meta" / name)
    assert [sum(label == str(i) for _, label in entries) for i in range(3)] == counts
    assert len({path for path, _ in entries}) == sum(counts)
    for path, label in entries:
        assert (root / "train" / path).is_file()
        assert path[0] == "abc"[int(label)]
    assert f"{sum(counts)} of 253 images" in result.stdout


def test_every_kind_of_image_for_pretraining_is_listed(root):
    for suffix in IMAGE_SUFFIXES:
        (root / f"train/b/other{suffix}").touch()
    (root / "train/b/notes.txt").touch()

    make(root, "--fraction", "1", "--out", root / "list.txt")

    listed = {path for path, _ in lines(root / "list.txt") if "b_" not in path}
    expected = {f"b/other{suffix}" for suffix in IMAGE_SUFFIXES}
    assert {path for path in listed if path.startswith("b/")} == expected


def test_choice_depends_only_on_the_seed(root):
    for out, seed in (("0", 0), ("again", 0), ("1", 1)):
        make(root, "--fraction", "0.1", "--seed", seed, "--out", root / out)

    assert (root / "0").read_text() == (root / "again").read_text()
    assert (root / "0").read_text() != (root / "1").read_text()


def test_seeds_have_lists_of_their_own(root):
    for seed in (0, 7):
        make(root, "--fraction", "0.1", "--seed", seed)
    first, second = root / "meta/train_10percent.txt", root / "meta/train_10percent_seed7.txt"
    assert first.read_text() != second.read_text()


def test_list_of_other_images_is_not_overwritten(root):
    out = root / "list.txt"
    for _ in range(2):
        make(root, "--fraction", "0.1", "--out", out)
    content = out.read_text()
    result = make(root, "--fraction", "0.1", "--seed", 1, "--out", out, code=1)
    assert f"'{out}' exists and lists other images: remove it" in result.stderr
    assert out.read_text() == content


def test_folder_that_cannot_be_written_is_one_line(root):
    (root / "meta").touch()
    result = make(root, "--fraction", "0.1", code=1)
    assert "train_10percent.txt' (File exists): give another file" in result.stderr


def test_images_are_named_with_or_without_their_folder(root):
    # the first form is that of SimCLR's lists
    (root / "names.txt").write_text("b_007.JPEG\na_100.JPEG\nc/c_001.JPEG\n")

    make(root, "--names", root / "names.txt", "--out", root / "list.txt")

    assert lines(root / "list.txt") == [
        ["a/a_100.JPEG", "0"], ["b/b_007.JPEG", "1"], ["c/c_001.JPEG", "2"],
    ]  # fmt: skip


def test_list_has_the_labels_that_mmpretrain_gives_folders(root):
    datasets = pytest.importorskip("mmpretrain.datasets", exc_type=ImportError)
    make(root, "--fraction", "0.01")
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        arguments = dict(data_root=str(root), data_prefix="train", extensions=(".jpeg",))
        whole = datasets.CustomDataset(**arguments)
        subset = datasets.CustomDataset(**arguments, ann_file="meta/train_1percent.txt")

    labels = {info["img_path"]: info["gt_label"] for info in whole}
    assert len(subset) == 4
    assert all(labels[info["img_path"]] == info["gt_label"] for info in subset)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--fraction", "0"), 2, "--fraction 0.0 must be above 0"),
        (("--fraction", "0.1", "--split", "test"), 1, "there is no folder"),
        (("--names", "names.txt"), 2, "--names needs --out"),
        ((), 2, "required"),
    ],
)
def test_invalid_arguments_exit_with_one_line(root, arguments, code, message):
    assert message in make(root, *arguments, code=code).stderr


@pytest.mark.parametrize(
    ("name", "message"), [("d_1.JPEG", "'d_1.JPEG' is not there"), ("same.JPEG", "several images")]
)
def test_ambiguous_names_are_refused(root, name, message):
    for folder in "ab":
        (root / "train" / folder / "same.JPEG").touch()
    (root / "names.txt").write_text(name)

    result = make(root, "--names", root / "names.txt", "--out", root / "list.txt", code=1)

    assert message in result.stderr
    assert not (root / "list.txt").exists()


def test_a_class_without_images_is_refused(root):
    (root / "train/empty").mkdir()
    assert "has no images" in make(root, "--fraction", "0.1", code=1).stderr


def test_hidden_folders_and_odd_names_keep_the_numbers(root):
    (root / "train/.ipynb_checkpoints").mkdir()
    (root / "train/.ipynb_checkpoints/x.jpg").touch()
    (root / "train/a/up").symlink_to("..")
    odd = os.fsdecode(b"c\xff\n 1.jpg")
    (root / "train/c" / odd).touch()

    result = make(root, "--fraction", "1")

    assert "1 hidden folders" in result.stderr
    read = read_labeled_list(root / "meta/train_100percent.txt")
    assert [label for _, label in read] == [0] * 200 + [1] * 50 + [2] * 4
    assert (f"c/{odd}", 2) in read


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_name_lists_of_any_encoding_are_read(root, encoding):
    (root / "train/c/two words.JPEG").touch()
    names = root / "names.txt"
    names.write_bytes("two words.JPEG\r\na_007.JPEG \r\n".encode(encoding))

    make(root, "--names", names, "--out", root / "list.txt")

    expected = [("a/a_007.JPEG", 0), ("c/two words.JPEG", 2)]
    assert read_labeled_list(root / "list.txt") == expected
