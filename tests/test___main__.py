import runpy

import pytest


def test_the_module_is_the_console_script(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["x", "info", "--help"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("mim_plugins", run_name="__main__")
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("usage: mim-plugins info")
