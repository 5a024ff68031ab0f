from mim_plugins.wording import counted, listed


def test_the_noun_agrees_with_the_number():
    assert counted(1, "process") == "1 process"
    assert counted(2, "process") == "2 processes"
    assert counted(0, "image") == "0 images"


def test_a_list_ends_with_the_number_of_omitted_names():
    assert listed([], 2) == ""
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
