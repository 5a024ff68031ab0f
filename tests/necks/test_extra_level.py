import pytest
import torch

from mim_plugins.registry import MODELS

pytest.importorskip("mmcv.cnn", exc_type=ImportError)


def build(**changes):
    return MODELS.build(dict(type="ExtraLevel", channels=6, **changes))


def test_appends_a_level_of_half_the_resolution():
    levels = (torch.randn(2, 4, 16, 12), torch.randn(2, 6, 7, 5))
    outputs = build()(levels)
    assert outputs[:2] == levels
    assert outputs[2].shape == (2, 6, 3, 2)


def test_the_new_level_depends_on_the_last_one_alone():
    first, last = torch.randn(2, 4, 8, 8), torch.randn(2, 6, 4, 4, requires_grad=True)
    first.requires_grad_()
    build(norm_cfg=dict(type="BN"))((first, last))[-1].square().sum().backward()
    assert first.grad is None
    assert last.grad.abs().sum() > 0


def test_convolution_norm_and_gelu_as_the_authors_have():
    neck = build().eval()
    torch.nn.init.constant_(neck.down.norm.running_var, 4.0)
    x = torch.randn(1, 6, 4, 4)
    convolved = torch.nn.functional.conv2d(x, neck.down.conv.weight, stride=2)
    expected = torch.nn.functional.gelu(convolved / (4.0 + neck.down.norm.eps) ** 0.5)
    torch.testing.assert_close(neck((x,))[-1], expected)


def test_channels_below_one_are_refused():
    with pytest.raises(ValueError, match="channels=0"):
        MODELS.build(dict(type="ExtraLevel", channels=0))


def test_a_last_level_smaller_than_the_kernel_is_refused():
    with pytest.raises(ValueError, match="ExtraLevel: the last level has 2x3 cells"):
        build()((torch.randn(2, 6, 2, 3),))
