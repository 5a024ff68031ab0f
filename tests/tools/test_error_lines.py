import pytest
from error_lines import describe

from mim_plugins.cli.ctrl_c import TRACEBACK_VARIABLE
from mim_plugins.errors import ConfigError


def test_only_unexpected_errors_have_class_and_traceback(monkeypatch, capsys):
    assert describe(ConfigError("no\nfile")) == "no file"
    hint = f"({TRACEBACK_VARIABLE}=1 shows the traceback)"
    monkeypatch.delenv(TRACEBACK_VARIABLE, raising=False)
    assert describe(RuntimeError("two\nlines")) == f"RuntimeError: two lines {hint}"
    assert not capsys.readouterr().err
    monkeypatch.setenv(TRACEBACK_VARIABLE, "1")
    with pytest.raises(ZeroDivisionError) as raised:
        1 / 0  # noqa: B018
    describe(raised.value)
    assert "in test_only" in capsys.readouterr().err
