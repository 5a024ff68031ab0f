import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from torch import nn

from mim_plugins.cli import ConsoleRunner
from mim_plugins.engine.resume.loaded_weights import bare_name, check_loadable
from mim_plugins.errors import CheckpointError


class Model(BaseModel):
    """Model with weights and an integer buffer."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.norm = nn.BatchNorm1d(2)

    def forward(self, x, mode="tensor"):
        return self.fc(x)


@pytest.fixture
def runner(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path), default_scope="mmengine"))
    with DefaultScope.overwrite_default_scope("mmengine"):
        return ConsoleRunner(
            Model(), str(tmp_path), default_scope=None, experiment_name=tmp_path.name, cfg=cfg
        )


@pytest.fixture
def load(runner, tmp_path):
    """Load partly changed weights like ``load_from`` and return those of the model."""

    def run(prefix="", **changes):
        torch.manual_seed(3)
        weights = Model().state_dict()
        weights |= {name.replace("__", "."): tensor for name, tensor in changes.items()}
        weights = {prefix + name: tensor for name, tensor in weights.items()}
        torch.save(dict(state_dict=weights), tmp_path / "x.pth")
        runner.load_checkpoint(str(tmp_path / "x.pth"))
        return runner.model.state_dict()

    return run


def test_weights_and_buffers_are_loaded(load):
    half = torch.full((2, 2), 0.5, dtype=torch.float16)
    loaded = load(fc__weight=half, norm__num_batches_tracked=torch.tensor(7, dtype=torch.int32))
    assert torch.equal(loaded["fc.weight"], half.float())
    assert loaded["norm.num_batches_tracked"].item() == 7
    assert torch.equal(load("module.", fc__bias=torch.ones(2))["fc.bias"], torch.ones(2))


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.ones(2, 2, dtype=torch.int64), r"int64, where float32"),
        (torch.ones(2, 2, dtype=torch.bool), "bool, where float32"),
        (torch.ones(2, 2, dtype=torch.uint8), "uint8, where float32"),
        (torch.ones(2, 2, dtype=torch.complex64), "complex64, where float32"),
        (torch.ones(2, 2).to(torch.float8_e4m3fn), "float8_e4m3fn, where float32"),
        (torch.full((2, 2), 1e300, dtype=torch.float64), r"up to 1\.0e\+300, beyond float32"),
        (torch.full((2, 2), float("nan")), r"NaN .* fc\.weight \(100 % of its values\)"),
        (torch.eye(2).to_sparse(), "sparse_coo"),
        (torch.eye(2).to("meta"), "meta device"),
        (torch.ones(1).expand(2**31, 2**31), "elements, of which the file contains 4 bytes"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_of_another_type_are_rejected(load, runner, tensor, message, prefix):
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    with pytest.raises(CheckpointError, match=rf"x\.pth.*{message}") as caught:
        load(prefix, fc__weight=tensor)
    assert "\n" not in str(caught.value)
    for name, value in runner.model.state_dict().items():
        assert torch.equal(value, before[name])


def test_file_without_matching_names_is_rejected(load, runner, tmp_path):
    with pytest.raises(CheckpointError, match=r"x\.pth' contains none of the 7 tensors of Model"):
        load("backbone.")
    torch.save(dict(model=Model().state_dict()), tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="would continue with random weights"):
        runner.load_checkpoint(str(tmp_path / "x.pth"))


def test_one_matching_name_is_sufficient(load):
    loaded = load(other__weight=torch.ones(1, dtype=torch.int64), fc__bias=torch.ones(2))
    assert torch.equal(loaded["fc.bias"], torch.ones(2))


def test_bare_state_dict_and_wrapped_model_are_checked_alike():
    class Wrapper(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Module()
            self.module.module = Model()

    good = Model().state_dict()
    for model in (Model(), Wrapper()):
        check_loadable(model, good, "f")
        check_loadable(model, dict(state_dict={f"module.{n}": t for n, t in good.items()}), "f")
        with pytest.raises(CheckpointError, match=r"fc\.bias \(int64"):
            check_loadable(model, good | {"fc.bias": torch.tensor([1, 2])}, "f")


@pytest.mark.parametrize("content", [None, [], "text", {}, dict(state_dict=[1]), dict(epoch=3)])
def test_content_without_weights_is_rejected(content):
    with pytest.raises(CheckpointError, match="contains none of"):
        check_loadable(Model(), content, "f")


def test_only_wrapper_prefixes_are_removed():
    assert bare_name("module.module.a.module.b") == "a.module.b"
    assert bare_name("modules.a") == "modules.a"
