import pytest
from parity.reference_sizes import mcmae_sizes, mixmim_sizes, with_defaults

MCMAE = dict(embed_dim=[8, 16, 32], depth=[1, 1, 2], num_heads=4)
DECODER = dict(decoder_embed_dim=16, decoder_depth=2, decoder_num_heads=2)


def test_sizes_of_the_reference_become_those_of_our_parts():
    sizes = mcmae_sizes(MCMAE | DECODER | dict(mlp_ratio=[2, 3, 4], norm_pix_loss=False))
    assert sizes["backbone"]["arch"]["mlp_ratios"] == [2, 3, 4]
    assert sizes["decoder"] == dict(embed_dims=16, depth=2, num_heads=2, mlp_ratio=2)
    assert sizes["head"] == dict(norm_pix=False)
    assert set(mcmae_sizes(MCMAE, with_decoder=False)) == {"backbone"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(depth=[1, 0, 1]), r"depth=\[1, 0, 1\] must contain numbers above 0"),
        (dict(num_heads="4"), "num_heads='4' must contain numbers"),
        (dict(width=3), r"unknown entries \['width'\]"),
        (dict(embed_dim=None), r"missing entries \['embed_dim'\]"),
    ],
)
def test_unusable_sizes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        mcmae_sizes(MCMAE | change, with_decoder=False)


@pytest.mark.parametrize("given", [[], "sizes", None])
def test_settings_must_be_a_dict(given):
    with pytest.raises(ValueError, match="must be a dict"):
        with_defaults(given, {})


def test_a_complete_reference_needs_a_decoder():
    with pytest.raises(ValueError, match="missing entries"):
        mixmim_sizes({})
