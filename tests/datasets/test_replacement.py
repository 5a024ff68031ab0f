import pytest
from mmengine.structures import BaseDataElement

from mim_plugins.datasets import prepare_or_replace, replacement_index
from mim_plugins.errors import CorruptImageError


def loader(corrupt, calls=None):
    """Return a loader of samples whose input is their index; corrupt ones raise an error."""

    def prepare(index):
        if calls is not None:
            calls.append(index)
        if index in corrupt:
            raise CorruptImageError(f"corrupt image '{index}.jpg': empty", f"{index}.jpg", "empty")
        return dict(inputs=index, data_samples=BaseDataElement())

    return prepare


@pytest.mark.parametrize("length", [2, 3, 5, 8, 12, 100, 1000, 13 * 13])
@pytest.mark.parametrize("index", [0, 1])
def test_every_other_sample_comes_once_before_any_comes_twice(length, index):
    others = [replacement_index(index, attempt, length) for attempt in range(1, length)]
    assert sorted([index, *others]) == list(range(length))


def test_replacements_leave_the_neighborhood():
    assert abs(replacement_index(500, 1, 1000) - 500) > 300


def test_a_good_sample_is_handed_out_without_a_record():
    sample = prepare_or_replace(loader(corrupt=()), 3, 10)
    assert sample["inputs"] == 3
    assert "corrupt_images" not in sample["data_samples"].metainfo


def test_the_replacement_records_all_images_that_it_replaces():
    first = replacement_index(3, 1, 10)
    sample = prepare_or_replace(loader(corrupt=(3, first)), 3, 10)
    assert sample["inputs"] == replacement_index(3, 2, 10)
    assert sample["data_samples"].metainfo["corrupt_images"] == {
        "3.jpg": "corrupt image '3.jpg': empty",
        f"{first}.jpg": f"corrupt image '{first}.jpg': empty",
    }


def test_the_same_replacement_comes_every_time():
    samples = [prepare_or_replace(loader(corrupt=(3, 4)), 3, 10)["inputs"] for _ in range(3)]
    assert len(set(samples)) == 1


def test_corruption_everywhere_is_an_error_that_names_the_last():
    calls = []
    with pytest.raises(
        CorruptImageError, match=r"20 successive corrupt images.*sample 7.*check_dataset"
    ):
        prepare_or_replace(loader(corrupt=range(1000), calls=calls), 7, 1000)
    assert len(calls) == 20


def test_other_errors_are_not_swallowed():
    def prepare(index):
        raise KeyError("a mistake in the pipeline")

    with pytest.raises(KeyError, match="a mistake"):
        prepare_or_replace(prepare, 0, 10)


def test_a_replacement_that_cannot_be_recorded_is_refused():
    def prepare(index):
        if index == 0:
            raise CorruptImageError("corrupt image '0.jpg': empty", "0.jpg", "empty")
        return dict(inputs=index)

    with pytest.raises(CorruptImageError, match=r"'0\.jpg': empty; it cannot .* PackInputs"):
        prepare_or_replace(prepare, 0, 10)
