"""Names that are imported at their first use."""

import subprocess
import sys
from importlib import import_module

import pytest
from mmengine.registry import MODELS

import mim_plugins
from mim_plugins.compat import breaks_multimodal_models
from mim_plugins.lazy import lazy_attributes

FRESH = """
import sys, mim_plugins
from mmengine.registry import HOOKS, MODELS
print([name for name in ("torch", "cv2", "mim_plugins.algorithms") if name in sys.modules])
print(MODELS.get("mim_plugins.MixMAE").__name__, HOOKS.get("mim_plugins.KNNHook").__name__)
import torch
from mmengine.runner import CheckpointLoader
from mmengine.logging import HistoryBuffer
torch.save(HistoryBuffer([1.0], [1]), sys.argv[1])
print(CheckpointLoader.load_checkpoint(sys.argv[1], logger="silent").mean())
"""


@pytest.mark.skipif(
    breaks_multimodal_models(), reason="mmpretrain has to be imported to adapt it to transformers"
)
def test_import_loads_no_torch_and_registers_every_class(tmp_path):
    command = [sys.executable, "-c", FRESH, str(tmp_path / "x.pth")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output == "[]\nMixMAE KNNHook\n1.0\n"


@pytest.mark.parametrize("package", ["mim_plugins", "mim_plugins.cli"])
def test_every_public_name_exists(package):
    module = import_module(package)
    assert all(getattr(module, name) is not None for name in module.__all__)


def test_names_are_those_of_their_modules():
    assert mim_plugins.get_model is import_module("mim_plugins.apis").get_model
    assert mim_plugins.layers is import_module("mim_plugins.layers")
    assert mim_plugins.heads is import_module("mim_plugins.heads")
    assert MODELS.get("mim_plugins.PixelHead") is mim_plugins.heads.PixelHead


def test_unknown_name_is_an_attribute_error():
    get = lazy_attributes("mim_plugins", dict(heads="heads"))
    with pytest.raises(AttributeError, match="'mim_plugins' has no attribute 'head'"):
        get("head")
