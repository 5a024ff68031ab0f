"""Methods, necks and heads of a built recipe."""

import torch
from torch import nn

from mim_plugins.checks.head_classes import head_classes


def mask_ratio(recipe):
    transform = getattr(recipe.model.data_preprocessor, "batch_transform", None)
    return transform.mask_ratio if transform else recipe.model.mask_ratio


def decoder(recipe):
    """Channels, blocks, heads, epsilon of the norms."""
    found = recipe.model.decoder
    return found.pred.in_features, len(found.blocks), _heads(found), found.norm.eps


def _heads(decoder):
    (heads,) = {block.attn.num_heads for block in decoder.blocks}
    return heads


def norm_pix(recipe):
    return recipe.model.head.norm_pix


def teachers(recipe):
    return recipe.teachers


def classes(recipe):
    """Return the numbers of outputs of all heads."""
    return {each.classes for each in head_classes(recipe.model)}


def smoothing(recipe):
    """Label smoothing, and standard deviation of the head's initial weights."""
    head = recipe.model.head
    return getattr(head.loss_module, "label_smooth_val", 0.0), head.init_cfg["std"]


def levels(recipe):
    """Channels and sides of the maps that the heads read, for a square image."""
    side = 1024 if recipe.name.startswith("transfer/coco") else 512
    with torch.device("meta"):
        maps = recipe.model.eval().extract_feat(torch.zeros(1, 3, side, side))
    return [(each.shape[1], each.shape[2]) for each in maps]


def level_norms(recipe):
    """Return for each map of the encoder whether it passes a LayerNorm."""
    encoder = recipe.encoder
    return len(getattr(encoder, "out_norms", ())) + 1 == len(encoder.out_indices)


def anchors(recipe):
    generator = recipe.model.rpn_head.prior_generator
    return [int(base * generator.scales[0]) for base in generator.base_sizes]


def heads(recipe):
    """Convolutions of the RPN; convolutions and layers of the box heads; of the mask heads."""
    roi = recipe.model.roi_head
    boxes, masks = (
        list(each) if isinstance(each, nn.ModuleList) else [each]
        for each in (roi.bbox_head, roi.mask_head)
    )
    return (
        recipe.model.rpn_head.num_convs,
        {(len(box.shared_convs), len(box.shared_fcs)) for box in boxes},
        {len(mask.convs) for mask in masks},
    )


def head_norms(recipe):
    parts = (recipe.model.neck, recipe.model.roi_head)
    kinds = {type(each).__name__ for part in parts for each in part.modules()}
    return {kind for kind in kinds if "Norm" in kind}


def inference(recipe):
    """Mode of a segmentor, with the size and the stride of its windows."""
    test_cfg = recipe.model.test_cfg
    return test_cfg.mode, test_cfg.get("crop_size"), test_cfg.get("stride")


def decode_heads(recipe):
    """Channels and dropout of the decode head, weight of the auxiliary head's loss."""
    main, auxiliary = recipe.model.decode_head, recipe.model.auxiliary_head
    return main.channels, main.dropout_ratio, auxiliary.loss_decode.loss_weight


def features(recipe):
    """Return the input of a linear probe."""
    images = torch.zeros(1, 3, *recipe.encoder.img_size, device="meta")
    (map_,) = recipe.encoder.eval()(images)
    (pooled,) = recipe.model.backbone.eval()(images)
    return "mean of tokens" if pooled.shape == map_.shape[:2] else tuple(pooled.shape)
