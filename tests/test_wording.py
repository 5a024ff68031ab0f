from mim_plugins.wording import counted


def test_the_noun_agrees_with_the_number():
    assert counted(1, "process") == "1 process"
    assert counted(2, "process") == "2 processes"
    assert counted(0, "image") == "0 images"
