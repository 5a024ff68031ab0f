import math

import pytest
import torch
from torch import nn

from mim_plugins.heads import MimicHead
from mim_plugins.registry import MODELS

DISTANCES = ["mse", "smooth_l1", "cosine"]


def slow_distance(name, prediction, target):
    """Compute the mean over images and tokens by loops over single values."""
    per_token = []
    for p_row, t_row in zip(
        prediction.double().flatten(0, 1).tolist(), target.double().flatten(0, 1).tolist(),
        strict=True,
    ):  # fmt: skip
        pairs = list(zip(p_row, t_row, strict=True))
        if name == "mse":
            per_token.append(sum((p - t) ** 2 for p, t in pairs) / len(pairs))
        elif name == "smooth_l1":
            gaps = [abs(p - t) for p, t in pairs]
            per_token.append(sum(g**2 / 2 if g < 1 else g - 0.5 for g in gaps) / len(pairs))
        else:
            dot = sum(p * t for p, t in pairs)
            lengths = math.hypot(*p_row) * math.hypot(*t_row)
            per_token.append(1 - dot / lengths)
    return sum(per_token) / len(per_token)


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_loss_equals_a_slow_reference(distance):
    head, tokens, target = MimicHead(6, 4, distance), torch.randn(2, 5, 6), torch.randn(2, 5, 4)
    nn.init.normal_(head.proj.bias)
    projected = tokens @ head.proj.weight.T + head.proj.bias
    expected = slow_distance(distance, projected, target)
    assert head(tokens, target).item() == pytest.approx(expected, rel=1e-5)
    assert MimicHead(6, 4).distance == "mse"


def test_smooth_l1_is_quadratic_near_zero_and_linear_far_off():
    head = MimicHead(1, 1, "smooth_l1")
    nn.init.zeros_(head.proj.weight)
    losses = [head(torch.zeros(1, 1, 1), torch.full((1, 1, 1), gap)) for gap in (0.5, 3.0)]
    assert [loss.item() for loss in losses] == [0.125, 2.5]


def test_the_cosine_distance_ignores_lengths_and_is_at_most_2():
    head, tokens = MimicHead(6, 4, "cosine"), torch.randn(2, 5, 6)
    target = head.proj(tokens).detach()
    assert head(tokens, 7 * target).item() == pytest.approx(0, abs=1e-6)
    assert head(tokens, -target).item() == pytest.approx(2, rel=1e-6)


@pytest.mark.parametrize("distance", DISTANCES)
def test_tokens_and_targets_are_compared_by_position(distance):
    head, tokens = MimicHead(6, 4, distance), torch.randn(2, 5, 6)
    target = head.proj(tokens).detach()
    assert head(tokens, target).item() == pytest.approx(0, abs=1e-6)
    assert head(tokens, target.flip(1)) > 0.1
    assert head(tokens, target.flip(0)) > 0.1


def test_intermediate_layers_are_added_before_the_projection():
    head = MimicHead(6, 4, num_fusion_layers=2)
    tokens, target = torch.randn(2, 5, 6), torch.randn(2, 5, 4)
    intermediates = (torch.randn(2, 5, 6), torch.randn(2, 5, 6))
    for linear in head.fusion:
        nn.init.normal_(linear.bias)

    fused = tokens.clone()
    for linear, layer in zip(head.fusion, intermediates, strict=True):
        mean, variance = layer.mean(-1, keepdim=True), layer.var(-1, keepdim=True, correction=0)
        normal = (layer - mean) / (variance + 1e-5).sqrt()
        fused = fused + normal @ linear.weight.T + linear.bias
    expected = slow_distance("mse", fused @ head.proj.weight.T + head.proj.bias, target)

    assert head(tokens, target, intermediates).item() == pytest.approx(expected, rel=1e-5)
    assert head(tokens, target, intermediates[::-1]).item() != pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("given", [0, 1, 3])
def test_other_numbers_of_levels_are_refused(given):
    head, tokens = MimicHead(6, 4, num_fusion_layers=2), torch.randn(2, 5, 6)
    with pytest.raises(ValueError):
        head(tokens, torch.randn(2, 5, 4), (tokens,) * given)


@pytest.mark.parametrize("distance", DISTANCES)
def test_gradients_reach_all_weights_tokens_and_levels(distance):
    head = MimicHead(6, 4, distance, num_fusion_layers=1)
    tokens, layer = (torch.randn(2, 5, 6, requires_grad=True) for _ in range(2))

    head(tokens, torch.randn(2, 5, 4), (layer,)).backward()

    assert (tokens.grad.abs().sum(dim=-1) > 0).all()
    assert (layer.grad.abs().sum(dim=-1) > 0).all()
    for name, parameter in head.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_distance_is_computed_in_float32(distance, dtype):
    head, tokens = MimicHead(6, 4, distance).to(dtype), torch.randn(2, 5, 6).to(dtype)
    target = torch.randn(2, 5, 4).to(dtype)
    loss = head(tokens, target)
    assert loss.dtype == torch.float32
    projected = head.proj(tokens).detach().float()
    expected = slow_distance(distance, projected, target.float())
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    head, tokens, target = head.float(), tokens.float(), target.float()
    with torch.autocast("cpu", torch.bfloat16):
        loss = head(tokens, target)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(head(tokens, target).item(), rel=0.02)


@pytest.mark.parametrize("distance", ["l1", "", None])
def test_an_unknown_distance_is_refused_with_the_known_ones(distance):
    message = rf"MimicHead: distance={distance!r} must be one of \['mse', 'smooth_l1', 'cosine'\]"
    with pytest.raises(ValueError, match=message):
        MimicHead(6, 4, distance)


def test_weights_start_as_xavier_with_zero_biases():
    head = MODELS.build(
        dict(type="mim_plugins.MimicHead", in_channels=16, out_channels=8, num_fusion_layers=1)
    )
    for linear in (head.proj, head.fusion[0]):
        bound = math.sqrt(6 / (linear.in_features + linear.out_features))
        assert 0.9 * bound < linear.weight.abs().max() <= bound
        assert (linear.bias == 0).all()
