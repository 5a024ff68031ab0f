"""The base of models on the hub."""

import sys

import pytest


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "mim_plugins.apis.hub_mixin")
    from mim_plugins.apis.hub_mixin import HubMixin

    class Model(HubMixin):
        pass

    with pytest.raises(ImportError, match=r"pip install 'mim_plugins\[hub\]'"):
        Model().push_to_hub("a")
