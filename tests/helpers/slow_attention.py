"""A reference for self-attention."""

import torch


def slow_attention(attention, x):
    """Compute attention by loops over images, heads and queries."""
    batch, tokens, dim = x.shape
    width = dim // attention.num_heads
    projected = x @ attention.qkv.weight.T + attention.qkv.bias
    joined = torch.zeros(batch, tokens, dim)
    for image in range(batch):
        for head in range(attention.num_heads):
            channels = slice(head * width, (head + 1) * width)
            query, key, value = (part[:, channels] for part in projected[image].split(dim, dim=-1))
            for token in range(tokens):
                weights = (key @ query[token] / width**0.5).softmax(dim=0)
                joined[image, token, channels] = weights @ value
    return joined @ attention.proj.weight.T + attention.proj.bias
