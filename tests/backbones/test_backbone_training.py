"""Gradients, frozen stages, and rates of all encoders in training."""

import pytest
import torch
from mrmae_fakes import assert_trained, random_mask

from mim_plugins.backbones import HierarchicalBackbone, MaskedConvViT


def blocks_of(backbone):
    if isinstance(backbone, HierarchicalBackbone):
        return [block for stage in backbone.stages for block in stage.blocks]
    return [*getattr(backbone, "stage1", ()), *getattr(backbone, "stage2", ()), *backbone.blocks]


def frozen_names(backbone, frozen_stages):
    """Return the beginnings of the names that the first ``frozen_stages`` freeze."""
    if isinstance(backbone, HierarchicalBackbone):
        names = [("patch_embed.", "pos_drop."), ("stages.0.",), ("stages.1.",), ("stages.2.",)]
    elif isinstance(backbone, MaskedConvViT):
        second = ("patch_embed2.", "stage2.")
        names = [("patch_embed1.",), ("stage1.",), second, ("patch_embed", "blocks.0.")]
    else:
        names = [("patch_embed.", "cls_token"), ("blocks.0.",), ("blocks.1.",), ("blocks.2.",)]
    return sum(names[: frozen_stages + 1], ())


def pretrain(backbone, images):
    """Encode images as in pre-training, with a grid of 4x4 tokens."""
    if isinstance(backbone, HierarchicalBackbone):
        return backbone.forward_mixed(images, torch.rand(1, 4, 4) < 0.5)
    return backbone.forward_masked(images, random_mask(len(images), 16, 4)).tokens


def transfer(backbone, images):
    return backbone(images)[0]


def test_every_parameter_gets_a_gradient_in_pre_training(build):
    backbone = build()
    tokens = pretrain(backbone, torch.randn(2, 3, 64, 64))
    (tokens * torch.randn_like(tokens)).sum().backward()
    assert_trained(backbone)


def test_bfloat16_tokens_are_close_to_float32(build):
    backbone, images, tokens = build(), torch.randn(2, 3, 64, 64), []
    for enabled in (False, True):
        torch.manual_seed(1)  # of the mask
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            tokens.append(pretrain(backbone, images).float())
    assert (tokens[1] - tokens[0]).abs().mean() < 0.05


@pytest.mark.parametrize("size", [(60, 64), (64, 72)])
def test_images_in_pre_training_must_be_multiples_of_the_stride(build, size):
    with pytest.raises(ValueError, match=f"{size[0]}x{size[1]} pixels.*stride 16"):
        pretrain(build(), torch.randn(2, 3, *size))


@pytest.mark.parametrize("frozen_stages", [-1, 0, 1, 2, 3])
def test_frozen_stages_get_no_gradient_and_stay_in_evaluation(build, frozen_stages):
    backbone = build(frozen_stages=frozen_stages, drop_path_rate=0.5).train()
    loss = backbone(torch.randn(2, 3, 64, 64))[0].square().mean()
    loss.backward()

    assert loss.isfinite()
    frozen = frozen_names(backbone, frozen_stages)
    for name, parameter in backbone.named_parameters():
        assert parameter.requires_grad != name.startswith(frozen), name
        assert (parameter.grad is None) == name.startswith(frozen), name
    for name, module in backbone.named_modules():
        assert module.training != f"{name}.".startswith(frozen), name


@pytest.mark.parametrize(
    ("encode", "frozen_stages"), [(transfer, -1), (transfer, 1), (pretrain, -1)]
)
def test_gradient_checkpointing_keeps_outputs_and_gradients(build, encode, frozen_stages):
    plain, checkpointed = (
        build(frozen_stages=frozen_stages, with_cp=with_cp).train() for with_cp in (False, True)
    )
    checkpointed.load_state_dict(plain.state_dict())
    images, outputs, calls = torch.randn(2, 3, 64, 64), [], []
    for backbone in (plain, checkpointed):
        for block in blocks_of(backbone):
            block.register_forward_pre_hook(lambda block, _: calls.append(block))
        torch.manual_seed(1)  # of the mask
        outputs.append(encode(backbone, images))
        outputs[-1].pow(3).mean().backward()

    assert torch.equal(*outputs)
    pairs = zip(plain.named_parameters(), checkpointed.named_parameters(), strict=True)
    for (name, expected), (_, got) in pairs:
        assert (got.grad is None) == (expected.grad is None), name
        if got.grad is not None:
            assert torch.allclose(got.grad, expected.grad, atol=1e-6), name
    if frozen_stages < 0:
        blocks = blocks_of(plain) + 2 * blocks_of(checkpointed)
        assert sorted(map(id, calls)) == sorted(map(id, blocks))


def test_stochastic_depth_grows_linearly_to_its_last_block(build):
    rates = [block.drop_path.p for block in blocks_of(build(drop_path_rate=0.3))]
    last = len(rates) - 1
    assert rates == pytest.approx([0.3 * index / last for index in range(last + 1)])


def test_stages_that_do_not_exist_cannot_be_frozen(build, config):
    last = 5 if "Conv" in config["type"] else 3
    with pytest.raises(ValueError, match=f"frozen_stages={last + 1} .*-1 and {last}"):
        build(frozen_stages=last + 1)


@pytest.mark.parametrize("name", ["head.fc.weight", "neck.proj.bias", "decoder.blocks.0.weight"])
def test_parameters_of_other_parts_have_the_depth_of_the_head(build, name):
    depth, count = build().get_layer_depth(name, "backbone.")
    assert depth == count - 1


def test_the_head_has_the_full_rate_with_mmpretrains_constructor(config):
    from mmengine.registry import DefaultScope
    from mmpretrain.registry import MODELS as CLASSIFIERS
    from mmpretrain.registry import OPTIM_WRAPPER_CONSTRUCTORS

    wrapper = dict(optimizer=dict(type="AdamW", lr=1.0, weight_decay=0.05))
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        classifier = CLASSIFIERS.build(
            dict(
                type="ImageClassifier",
                backbone=config | dict(out_type="avg_featmap"),
                neck=dict(type="LinearNeck", in_channels=16, out_channels=4, gap_dim=0),
                head=dict(type="LinearClsHead", num_classes=2, in_channels=4),
            )
        )
        constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
            dict(
                type="LearningRateDecayOptimWrapperConstructor",
                optim_wrapper_cfg=wrapper,
                paramwise_cfg=dict(layer_decay_rate=0.5),
            )
        )
        groups = constructor(classifier).optimizer.param_groups
    rates = {group["param_name"]: group["lr"] for group in groups}
    assert {rate for name, rate in rates.items() if name.startswith(("head.", "neck."))} == {1.0}
    encoder = [rate for name, rate in rates.items() if name.startswith("backbone.")]
    assert min(encoder) == 0.5 ** (classifier.backbone.num_depths - 1)
