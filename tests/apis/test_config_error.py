import pytest

from mim_plugins.apis import ConfigError, read_config


def test_it_is_a_value_error_that_names_file_cause_and_remedy(tmp_path):
    (tmp_path / "a.py").write_text("x = undefined_name\n")
    with pytest.raises(ValueError, match=r"a\.py.*'undefined_name' is not defined.*mend") as caught:
        read_config(tmp_path / "a.py")
    assert caught.type is ConfigError
