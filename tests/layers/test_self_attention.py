import torch
from slow_attention import slow_attention

from mim_plugins.layers import SelfAttention


def test_attention_equals_a_slow_reference():
    attention, x = SelfAttention(12, num_heads=3), torch.randn(2, 5, 12)

    assert torch.allclose(attention(x), slow_attention(attention, x), atol=1e-5)


def test_attention_follows_the_order_of_its_tokens():
    attention, x = SelfAttention(12, num_heads=3), torch.randn(2, 5, 12)
    order = torch.tensor([3, 0, 4, 1, 2])

    assert torch.allclose(attention(x[:, order]), attention(x)[:, order], atol=1e-6)


def test_attention_stays_within_an_image():
    attention, x = SelfAttention(12, num_heads=3), torch.randn(2, 5, 12)
    changed = torch.stack([x[0], torch.randn(5, 12)])

    assert torch.equal(attention(x)[0], attention(changed)[0])
    assert not torch.allclose(attention(x)[1], attention(changed)[1])
