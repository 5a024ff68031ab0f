import pytest
import torch

from mim_plugins.layers import AttentionBlocks

TOKENS = (1, 15, 16, 17, 25, 32, 33, 49, 64, 65, 100, 128, 129, 196, 256)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("channels", [8, 32, 40, 128])
def test_programs_cover_all_tokens_and_images(channels, dtype):
    for tokens in TOKENS:
        blocks = AttentionBlocks(tokens, channels, dtype)
        assert tokens <= blocks.size < tokens + 64
        for kernel in ("forward", *blocks.gradient_kernels):
            rows, columns, warps, _ = blocks.tiling(kernel)
            fixed = blocks.constants(kernel, 77, 12, 4)
            assert fixed["blocks"] * columns == blocks.size
            across = fixed["blocks"] if kernel == "bias" else 1
            assert blocks.strips(kernel) == blocks.size // rows * across
            assert blocks.chunks(kernel, 77, 12) * fixed["per_program"] >= 77
            assert rows == 16 * warps  # a warp multiplies matrices of 16 rows
            assert fixed["width"] >= channels


def test_a_kernel_of_all_gradients_has_at_most_four_blocks():
    for tokens in TOKENS:
        for channels in (16, 32, 64):
            for dtype in (torch.float16, torch.float32):
                blocks = AttentionBlocks(tokens, channels, dtype)
                if blocks.is_whole:
                    assert blocks.strips("key") == 1
                    assert blocks.constants("key", 8, 4, 4)["blocks"] <= 4


@pytest.mark.parametrize(
    ("tokens", "channels", "dtype"),
    [(257, 32, torch.bfloat16), (49, 129, torch.float16), (49, 32, torch.float64)],
)
def test_other_sizes_and_types_are_not_supported(tokens, channels, dtype):
    assert not AttentionBlocks(tokens, channels, dtype).is_supported
    assert AttentionBlocks(min(tokens, 256), min(channels, 128), torch.float32).is_supported
