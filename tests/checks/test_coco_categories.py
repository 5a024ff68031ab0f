import json

import pytest

from mim_plugins.checks.coco_categories import read_category_names

ROWS = [dict(id=7, name="cat"), dict(id=2, name="déjà vu", supercategory="x")]


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("ensure_ascii", [False, True])
@pytest.mark.parametrize("count", [2, 3000])
def test_category_names_are_found_anywhere_in_file_order(tmp_path, place, ensure_ascii, count):
    rows = [*ROWS, *(dict(id=100 + i, name=f"name {i}" * 5) for i in range(count - 2))]
    other = dict(annotations=[dict(id=i, bbox=[1, 2, 3, 4]) for i in range(5000)])
    content = dict(categories=rows) | other if place == "first" else other | dict(categories=rows)
    file = tmp_path / "instances.json"
    file.write_text(json.dumps(content, ensure_ascii=ensure_ascii), encoding="utf-8")

    names = read_category_names(file)

    assert list(names.items())[:2] == [(7, "cat"), (2, "déjà vu")]
    assert len(names) == count


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"categories": 3}', '{"categories": [1, 2]}', '{"categories": [{"id": 1, "na'],
)
def test_files_without_categories_have_no_names(tmp_path, text):
    (tmp_path / "file.json").write_text(text)
    assert read_category_names(tmp_path / "file.json") is None


def test_other_lists_under_the_same_key_are_skipped(tmp_path):
    content = dict(images=[dict(categories=["a", "b"])], categories=ROWS)
    (tmp_path / "file.json").write_text(json.dumps(content))
    assert list(read_category_names(tmp_path / "file.json")) == [7, 2]


def test_missing_file_has_no_category_names(tmp_path):
    assert read_category_names(tmp_path / "none.json") is None
