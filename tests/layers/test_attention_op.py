"""The operator on tensors without values; interpreted_attention.py tests its results."""

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from mim_plugins.layers import attend_in_groups


def test_shapes_and_flops_are_those_of_pytorch_attention():
    def flops(attend, *inputs):
        with FlopCounterMode(display=False) as counter:
            attend(*inputs).sum().backward()
        return counter.get_total_flops()

    qkv = torch.empty(2, 30, 3, 4, 16, dtype=torch.bfloat16, device="meta", requires_grad=True)
    bias = torch.empty(1, 1, 4, 10, 10, device="meta", requires_grad=True)
    own = flops(attend_in_groups, qkv, [bias], [3])
    assert qkv.grad.shape == qkv.shape
    assert qkv.grad.dtype == torch.bfloat16
    assert bias.grad.shape == bias.shape
    assert bias.grad.dtype == torch.float32

    heads = [x.detach().requires_grad_() for x in torch.empty(3, 6, 4, 10, 16, device="meta")]
    reference = torch.ops.aten._scaled_dot_product_efficient_attention
    assert own == flops(lambda *x: reference(*x, None, True)[0], *heads)


def test_no_gradient_is_computed_for_inference():
    qkv = torch.empty(2, 6, 3, 4, 16, device="meta")
    with torch.no_grad():
        output = attend_in_groups(qkv, [torch.empty(1, 2, 4, 3, 3, device="meta")], [2])
    assert output.shape == F.pad(qkv[:, :, 0], (0, 0)).shape
    assert not output.requires_grad
