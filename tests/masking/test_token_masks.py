import pytest
import torch

from mim_plugins.masking import (
    attention_scores,
    count_visible,
    gather_tokens,
    mask_from_scores,
    random_scores,
)

ATTENTION = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.04, 0.01])
DRAWS = 20000


def first_choices(scores):
    """Count how often each token has the lowest score (L,)."""
    counts = torch.bincount(scores.argmin(dim=1), minlength=scores.shape[1])
    return counts / len(scores)


def visible_frequency(scores, mask_ratio=0.5):
    """Count how often each token is visible (L,)."""
    return (~mask_from_scores(scores, mask_ratio).mask).float().mean(dim=0)


@pytest.mark.parametrize(
    ("tokens", "mask_ratio", "visible"),
    [(196, 0.75, 49), (16, 0.75, 4), (10, 0.75, 2), (36, 0.6, 14), (2, 0.5, 1), (196, 0.99, 1)],
)
def test_every_image_has_the_same_number_of_visible_tokens(tokens, mask_ratio, visible):
    token_mask = mask_from_scores(torch.rand(5, tokens), mask_ratio)
    assert count_visible(tokens, mask_ratio) == visible
    assert token_mask.ids_keep.shape == (5, visible)
    assert token_mask.ids_restore.shape == (5, tokens)
    assert token_mask.mask.shape == (5, tokens)
    assert (token_mask.mask.sum(dim=1) == tokens - visible).all()


def test_the_tokens_of_lowest_score_are_visible_and_others_true():
    token_mask = mask_from_scores(torch.tensor([[0.5, 0.1, 0.9, 0.2], [3.0, 2.0, -1.0, 0.0]]), 0.5)
    assert token_mask.ids_keep.tolist() == [[1, 3], [2, 3]]
    assert token_mask.mask.dtype == torch.bool
    assert token_mask.mask.tolist() == [[True, False, True, False], [True, True, False, False]]


def test_ids_restore_puts_visible_then_masked_tokens_back():
    token_mask = mask_from_scores(torch.rand(3, 12), 0.75)
    for image in range(3):
        visible = token_mask.ids_keep[image].tolist()
        masked = [token for token in range(12) if token_mask.mask[image, token]]
        places = token_mask.ids_restore[image].tolist()
        assert sorted(places) == list(range(12))
        assert [places[token] for token in visible] == [0, 1, 2]
        assert sorted(places[token] for token in masked) == list(range(3, 12))


def test_masks_differ_between_images():
    token_mask = mask_from_scores(random_scores(8, 36), 0.75)
    assert len({tuple(row.tolist()) for row in token_mask.mask}) == 8


@pytest.mark.parametrize(
    ("tokens", "mask_ratio", "visible"), [(16, 1.0, 0), (16, 0.95, 0), (16, 0.0, 16), (1, 0.5, 0)]
)
def test_a_ratio_that_shows_or_masks_nothing_is_refused(tokens, mask_ratio, visible):
    with pytest.raises(ValueError, match=rf"mask_ratio={mask_ratio} leaves {visible} of {tokens} "):
        count_visible(tokens, mask_ratio)


@pytest.mark.parametrize("mask_ratio", [-0.5, 1.5])
def test_a_ratio_outside_zero_to_one_is_refused(mask_ratio):
    with pytest.raises(ValueError, match=f"mask_ratio={mask_ratio}"):
        mask_from_scores(torch.rand(1, 16), mask_ratio)


@pytest.mark.parametrize("temperature", [None, 1e6])
def test_scores_without_preference_show_tokens_equally_often(temperature):
    scores = random_scores(DRAWS, 6)
    if temperature:
        scores = attention_scores(ATTENTION.expand(DRAWS, -1), temperature)
    assert torch.allclose(visible_frequency(scores), torch.full((6,), 0.5), atol=0.02)


@pytest.mark.parametrize(("temperature", "scale"), [(0.5, 1), (1.0, 1), (1.0, 7), (2.0, 1)])
def test_the_first_choice_follows_powers_of_the_attention(temperature, scale):
    attention = scale * ATTENTION.expand(DRAWS, -1)
    before = attention.clone()
    frequency = first_choices(attention_scores(attention, temperature))
    powers = ATTENTION ** (1 / temperature)
    assert torch.allclose(frequency, powers / powers.sum(), atol=0.02)
    assert torch.equal(attention, before)


def test_near_temperature_zero_top_attention_tokens_are_visible():
    attention = torch.rand(50, 36)
    token_mask = mask_from_scores(attention_scores(attention, 1e-6), 0.75)
    assert torch.equal(token_mask.ids_keep, attention.argsort(dim=1, descending=True)[:, :9])


def test_tokens_without_attention_come_last_with_finite_scores():
    attention = torch.tensor([0.0, 0.5, 0.0, 0.5]).expand(1000, -1)
    scores = attention_scores(attention)
    assert scores.isfinite().all()
    assert visible_frequency(scores).tolist() == [0.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    "draw", [lambda: random_scores(2, 16), lambda: attention_scores(torch.ones(2, 16))]
)
def test_the_seed_determines_the_scores(draw):
    def scores_of(seed):
        torch.manual_seed(seed)
        return draw()

    assert torch.equal(scores_of(1), scores_of(1))
    assert not torch.equal(scores_of(1), scores_of(2))


def test_tokens_are_gathered_per_image_and_in_order():
    tokens, indices = torch.randn(2, 5, 3), torch.tensor([[4, 0], [1, 3]])
    gathered = gather_tokens(tokens, indices)
    assert torch.equal(gathered[0], torch.stack([tokens[0, 4], tokens[0, 0]]))
    assert torch.equal(gathered[1], torch.stack([tokens[1, 1], tokens[1, 3]]))


def test_visible_then_masked_tokens_are_restored_by_gathering():
    tokens = torch.randn(3, 12, 4)
    token_mask = mask_from_scores(torch.rand(3, 12), 0.5)
    visible = gather_tokens(tokens, token_mask.ids_keep)
    restored = gather_tokens(
        torch.cat([visible, torch.zeros(3, 6, 4)], dim=1), token_mask.ids_restore
    )
    assert torch.equal(restored, torch.where(token_mask.mask[..., None], 0.0, tokens))
