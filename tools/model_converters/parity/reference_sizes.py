"""Sizes of reference models, from the JSON texts in files of reference numbers."""

from typing import Any

_REQUIRED = None
# entries of the references' configs with their defaults
_MIXMIM = dict(
    img_size=_REQUIRED,
    embed_dim=_REQUIRED,
    depths=_REQUIRED,
    num_heads=_REQUIRED,
    window_size=_REQUIRED,
    patch_size=4,
    mlp_ratio=4.0,
    qkv_bias=True,
)
_MIXMIM_DECODER = dict(
    decoder_dim=_REQUIRED,
    decoder_depth=_REQUIRED,
    decoder_num_heads=_REQUIRED,
    norm_pix_loss=True,
)
_MCMAE = dict(
    embed_dim=_REQUIRED,
    depth=_REQUIRED,
    num_heads=_REQUIRED,
    img_size=224,
    mlp_ratio=(4.0, 4.0, 4.0),
)
_MCMAE_DECODER = dict(
    decoder_embed_dim=_REQUIRED,
    decoder_depth=_REQUIRED,
    decoder_num_heads=_REQUIRED,
    norm_pix_loss=True,
)


def with_defaults(given: dict, known: dict, what: str = "config of the reference") -> dict:
    """Return a reference's entries with the defaults of ``known``, whose None is required.

    Raises:
        ValueError: an entry is missing or unknown, or ``given`` is no dict.
    """
    if not isinstance(given, dict):
        raise ValueError(f"{what}: {given!r} must be a dict of settings")
    unknown = sorted(set(given) - set(known))
    complete = known | given
    missing = [key for key, value in complete.items() if value is None]
    if unknown or missing:
        raise ValueError(f"{what}: missing entries {missing}, unknown entries {unknown}")
    return complete


def _sizes(given: dict, known: dict) -> dict:
    """Return the entries with defaults, after a check that all numbers are above 0."""
    config = with_defaults(given, known)
    for name, value in config.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        if not all(isinstance(each, (bool, int, float)) for each in values) or (
            not isinstance(value, bool) and not all(each > 0 for each in values)
        ):
            raise ValueError(
                f"config of the reference: {name}={value!r} must contain numbers above 0"
            )
    return config


def mixmim_sizes(given: dict, with_decoder: bool = True) -> dict[str, dict[str, Any]]:
    """Return settings of ``backbone``, ``decoder`` and ``head`` for a MixMIM reference.

    Raises:
        ValueError: see :func:`with_defaults`, or a size is not above 0.
    """
    config = _sizes(given, _MIXMIM | (_MIXMIM_DECODER if with_decoder else {}))
    backbone = dict(
        arch=dict(
            embed_dims=config["embed_dim"],
            depths=config["depths"],
            num_heads=config["num_heads"],
        ),
        img_size=config["img_size"],
        patch_size=config["patch_size"],
        window_size=config["window_size"],
        mlp_ratio=config["mlp_ratio"],
        qkv_bias=config["qkv_bias"],
    )
    if not with_decoder:
        return dict(backbone=backbone)
    decoder = dict(
        embed_dims=config["decoder_dim"],
        depth=config["decoder_depth"],
        num_heads=config["decoder_num_heads"],
        mlp_ratio=config["mlp_ratio"],
    )
    return dict(backbone=backbone, decoder=decoder, head=dict(norm_pix=config["norm_pix_loss"]))


def mcmae_sizes(given: dict, with_decoder: bool = True) -> dict[str, dict[str, Any]]:
    """Return settings of ``backbone``, ``decoder`` and ``head`` for an MCMAE reference.

    Raises:
        ValueError: see :func:`with_defaults`, or a size is not above 0.
    """
    config = _sizes(given, _MCMAE | (_MCMAE_DECODER if with_decoder else {}))
    backbone = dict(
        arch=dict(
            depths=config["depth"],
            embed_dims=config["embed_dim"],
            mlp_ratios=config["mlp_ratio"],
            num_heads=config["num_heads"],
        ),
        img_size=config["img_size"],
    )
    if not with_decoder:
        return dict(backbone=backbone)
    decoder = dict(
        embed_dims=config["decoder_embed_dim"],
        depth=config["decoder_depth"],
        num_heads=config["decoder_num_heads"],
        mlp_ratio=config["mlp_ratio"][0],  # the authors' decoder uses the ratio of the first stage
    )
    return dict(backbone=backbone, decoder=decoder, head=dict(norm_pix=config["norm_pix_loss"]))
