import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mim_plugins.targets.cls_attention import SDPARecorder, cls_attention_weights, patch_attention

B, HEADS, N, D = 2, 3, 5, 4


@pytest.fixture
def qkv():
    return torch.randn(3, B, HEADS, N, D).unbind(0)


def full_weights(query, key, mask=0.0, scale=D**-0.5):
    return (query @ key.transpose(-2, -1) * scale + mask).softmax(dim=-1)


def test_the_weights_are_those_that_made_the_output(qkv):
    query, key, value = qkv
    with SDPARecorder() as recorder:
        output = F.scaled_dot_product_attention(query, key, value)
    weights = full_weights(query, key)
    assert torch.allclose(output, weights @ value, atol=1e-6)
    assert torch.allclose(recorder.cls_attention_weights(), weights.mean(dim=1)[:, 0])


def test_mask_and_scale_are_heeded_however_they_are_passed(qkv):
    query, key, value = qkv
    bias = torch.randn(1, HEADS, N, N)
    with SDPARecorder() as recorder:
        F.scaled_dot_product_attention(query, key, value, bias, scale=0.3)
    expected = full_weights(query, key, bias, 0.3).mean(dim=1)[:, 0]
    assert torch.allclose(recorder.cls_attention_weights(), expected)

    allowed = torch.tensor([True, False, True, True, False]).expand(N, N)
    with SDPARecorder() as recorder:
        F.scaled_dot_product_attention(query, key, value=value, attn_mask=allowed)
    hidden = torch.zeros(N, N).masked_fill(~allowed, float("-inf"))
    expected = full_weights(query, key, hidden).mean(dim=1)[:, 0]
    assert torch.allclose(recorder.cls_attention_weights(), expected)


def test_the_last_call_inside_the_context_counts(qkv):
    query, key, value = qkv
    with SDPARecorder() as recorder:
        F.scaled_dot_product_attention(key, value, query)
        F.scaled_dot_product_attention(query, key, value)
    F.scaled_dot_product_attention(value, query, key)
    expected = full_weights(query, key).mean(dim=1)[:, 0]
    assert torch.allclose(recorder.cls_attention_weights(), expected)


def test_half_precision_queries_give_float32_weights(qkv):
    query, key, value = (x.bfloat16() for x in qkv)
    with torch.autocast("cpu", torch.bfloat16), SDPARecorder() as recorder:
        F.scaled_dot_product_attention(query, key, value)
        weights = recorder.cls_attention_weights()
    expected = full_weights(query.float(), key.float()).mean(dim=1)[:, 0]
    assert weights.dtype == torch.float32
    assert torch.allclose(weights, expected)


def test_multihead_attention_gives_the_first_row_of_its_weights():
    attention = nn.MultiheadAttention(12, 3, batch_first=True).eval()
    tokens = torch.randn(B, N, 12)
    expected = attention(tokens, tokens, tokens, need_weights=True)[1][:, 0]
    assert torch.allclose(cls_attention_weights(attention, tokens), expected, atol=1e-7)


def test_prefix_columns_are_left_out_and_the_rest_sums_to_one():
    weights = torch.tensor([[0.5, 0.1, 0.1, 0.3], [0.2, 0.2, 0.6, 0.0]])
    assert torch.allclose(patch_attention(weights, 2), torch.tensor([[0.25, 0.75], [1.0, 0.0]]))
