"""The kernels are used on GPUs; interpreted_attention.py tests their comparison with PyTorch."""

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode

from mim_plugins.errors import ConfigError
from mim_plugins.layers import attend_in_groups, kernel_choice
from mim_plugins.layers.kernel_choice import uses_kernels


def inputs(device="meta", dtype=torch.bfloat16, biases=1, masks=None, tokens=9):
    qkv = torch.empty(2, tokens, 3, 2, 16, dtype=dtype, device=device)
    bias = torch.empty(biases, 1, 2, tokens, tokens, device=device)
    mask = None if masks is None else torch.empty(masks, 1, tokens, tokens, device=device)
    return qkv, [bias], mask


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (dict(), True),
        (dict(masks=1), True),
        (dict(dtype=torch.float32), True),
        (dict(device="cpu"), False),
        (dict(masks=2), False),
        (dict(biases=2), False),
        (dict(dtype=torch.float64), False),
        (dict(tokens=257, dtype=torch.float32), False),
        (dict(tokens=128), True),
        (dict(tokens=196), False),
        (dict(tokens=196, dtype=torch.float32), True),
    ],
)
def test_kernels_attend_on_gpus_where_they_are_faster(change, expected):
    assert uses_kernels(*inputs(**change)) is expected


@pytest.mark.parametrize(
    ("value", "usual", "large", "huge"),
    [("auto", True, False, False), ("triton", True, True, False), ("sdpa", False, False, False)],
)
def test_an_environment_variable_chooses_the_kernels(value, usual, large, huge, monkeypatch):
    monkeypatch.setenv("MIM_PLUGINS_ATTENTION", value)
    found = [uses_kernels(*inputs(tokens=tokens)) for tokens in (9, 196, 257)]
    assert found == [usual, large, huge]


def test_another_value_of_the_variable_is_an_error(monkeypatch):
    monkeypatch.setenv("MIM_PLUGINS_ATTENTION", "flash")
    with pytest.raises(ConfigError, match="='flash' must be auto, triton or sdpa"):
        uses_kernels(*inputs())


def test_pytorch_attends_if_triton_is_missing(monkeypatch):
    monkeypatch.setattr(kernel_choice, "find_spec", lambda name: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    usable = kernel_choice.are_usable(
        torch.device("cuda"), torch.bfloat16, 2, 16, (9,), has_mask=False
    )
    assert not usable


def test_fake_tensors_of_a_gpu_pass_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with FakeTensorMode():
        qkv, biases, _ = inputs("cuda")
        assert uses_kernels(qkv, biases, None)
        assert attend_in_groups(qkv, biases, [1]).shape == (2, 9, 2, 16)


class _Attention(nn.Module):
    def __init__(self):
        super().__init__()
        _, (self.bias,), _ = inputs()

    def forward(self, qkv):
        return attend_in_groups(qkv, [self.bias], [1])


@pytest.mark.skipif(torch.__version__.startswith("2.6."), reason="torch 2.6 cannot export")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_exported_programs_contain_no_operator_of_ours():
    attention, (qkv, _, _) = _Attention(), inputs()
    program = torch.export.export(attention, (qkv,), strict=False)
    strict = torch.export.export(attention, (qkv,), strict=True)
    trace = torch.jit.trace(attention, qkv, check_trace=False)
    assert "biased_attention" not in f"{program.graph} {strict.graph} {trace.inlined_graph}"


def test_compiled_graphs_contain_it():
    graphs = []

    def backend(module, _):
        graphs.append(str(module.graph))
        return module.forward

    torch.compile(_Attention(), backend=backend, fullgraph=True)(inputs()[0])
    assert "biased_attention" in graphs[0]
