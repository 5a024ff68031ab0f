import pytest
from dataset_folders import concat, config, folder, repeat

from mim_plugins.cli.data_root import apply_data_root
from mim_plugins.errors import ConfigError


@pytest.mark.parametrize(
    "train",
    [
        concat(folder("A"), folder("B")),
        repeat(concat(folder("A"), folder("B"))),
        concat(repeat(folder("A")), concat(folder("A"), folder("B"))),
        concat(folder("A"), folder("A/sub")),
        concat(folder("A"), folder(""), folder("B")),
    ],
)
def test_one_folder_cannot_replace_several(train):
    cfg = config(train)
    before = cfg.pretty_text

    with pytest.raises(ConfigError, match=r"--data-root 'C': train_dataloader reads 2 folders"):
        apply_data_root(cfg, "C")

    assert cfg.pretty_text == before


def test_several_validation_folders_are_rejected():
    cfg = config(folder("A"), concat(folder("A"), folder("B")))

    with pytest.raises(ConfigError, match=r"and val_dataloader read 2 folders \('A', 'B'\)"):
        apply_data_root(cfg, "C")


@pytest.mark.parametrize("value", [["A", "B"], ("A",), "", 3])
def test_invalid_data_root_is_rejected(value):
    with pytest.raises(ConfigError, match=r"--data-root .*: must be one folder"):
        apply_data_root(config(folder("A")), value)


def test_folder_name_that_is_not_utf8_is_rejected():
    with pytest.raises(ConfigError, match=r"--data-root 'bad\\xff': .* not UTF-8"):
        apply_data_root(config(folder("A")), "bad\udcff")


@pytest.mark.parametrize(
    ("prefix", "named"),
    [
        ("/elsewhere", "data_prefix='/elsewhere'"),
        ("~/elsewhere", "data_prefix='~/elsewhere'"),
        ("../B", "data_prefix='../B'"),
        ("a/../../B", "data_prefix='a/../../B'"),
        (dict(img_path="train", seg_map_path="/maps"), "data_prefix.seg_map_path='/maps'"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda part: part, repeat, concat], ids=["plain", "rep", "con"])
def test_prefix_outside_the_new_root_is_rejected(prefix, named, wrap):
    cfg = config(folder("A"), wrap(folder("", data_prefix=prefix)))
    with pytest.raises(ConfigError, match="has no effect on val_dataloader") as caught:
        apply_data_root(cfg, "C")
    assert named in str(caught.value)


@pytest.mark.parametrize("prefix", ["train", dict(img_path="a/../b"), None, "", dict(img=None)])
def test_prefix_inside_the_root_follows(prefix, tmp_path):
    cfg = config(folder("A", data_prefix=prefix, ann_file="/lists/l.txt"))
    apply_data_root(cfg, str(tmp_path))
    assert cfg.train_dataloader.dataset.data_root == str(tmp_path)


def test_absolute_prefix_or_link_inside_the_root_follows(tmp_path):
    (tmp_path / "C").mkdir()
    (tmp_path / "C/train").symlink_to("/")
    for prefix in (str(tmp_path / "C/val"), "train"):
        apply_data_root(config(folder("A", data_prefix=prefix)), str(tmp_path / "C"))


def test_links_to_one_root_count_as_one_folder(tmp_path):
    (tmp_path / "A").mkdir()
    (tmp_path / "link").symlink_to("A")
    cfg = config(concat(folder(str(tmp_path / "A")), folder(str(tmp_path / "link"))))
    apply_data_root(cfg, "C")
    assert {part.data_root for part in cfg.train_dataloader.dataset.datasets} == {"C"}


@pytest.mark.parametrize("line", ["{old}/a.png", "{old}/a.png 3", '"{old}/a b.png"', "../A/a.png"])
def test_a_list_of_paths_outside_the_root_is_refused(tmp_path, line):
    new = tmp_path / "new"
    new.mkdir()
    (new / "list.txt").write_text("b.png\n" + line.format(old=tmp_path / "old") + "\n")
    with pytest.raises(ConfigError, match=r"no effect on train_dataloader: its list 'list\.txt'"):
        apply_data_root(config(folder("A", ann_file="list.txt")), str(new))


@pytest.mark.parametrize("line", ["{new}/a.png", "a/../b.png 3", "a..b.png", "~/x.png"])
def test_a_list_of_paths_inside_the_root_passes(tmp_path, line):
    (tmp_path / "list.txt").write_text(line.format(new=tmp_path) + "\n")
    apply_data_root(config(folder("A", ann_file="list.txt")), str(tmp_path))
