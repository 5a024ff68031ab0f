import pytest
import torch

from mim_plugins.masking import MixImages, mix
from mim_plugins.registry import TRANSFORMS


@pytest.mark.parametrize("ratio", [1.5, -0.3, 0, 1, True, False, float("nan")])
def test_a_mask_ratio_outside_zero_to_one_is_refused(ratio):
    with pytest.raises(ValueError, match=f"mask_ratio={ratio}"):
        MixImages(mask_ratio=ratio)


@pytest.mark.parametrize("spread", [-0.1, 0.5, 0.9, float("nan")])
def test_a_range_that_could_mask_everything_is_refused(spread):
    with pytest.raises(ValueError, match=f"range_mask_ratio={spread}"):
        MixImages(mask_ratio=0.5, range_mask_ratio=spread)


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        (dict(mask_ratio=0.5), 32),  # one cell
        (dict(mask_ratio=0.1), 96),  # 0.9 of 9 cells
        (dict(mask_ratio=0.01), 224),
        (dict(mask_ratio=0.1, range_mask_ratio=0.5), 96),  # 0.9 to 5.4 of 9 cells
    ],
)
def test_bind_refuses_a_ratio_without_cells_of_both_images(settings, size):
    with pytest.raises(ValueError, match="mask_ratio"):
        MixImages(**settings).bind(32, (size, size))


def test_bind_refuses_a_contradicting_stride():
    with pytest.raises(ValueError, match=r"encoder_stride=16.*32"):
        MixImages(encoder_stride=16).bind(32, (224, 224))


def test_bind_sets_the_stride():
    transform = MixImages()
    transform.bind(8, (32, 16))
    assert transform(torch.randn(2, 3, 32, 16)).mask.shape == (1, 4, 2)


def test_mixing_without_a_stride_is_refused():
    with pytest.raises(ValueError, match="encoder_stride=None"):
        MixImages()(torch.randn(2, 3, 32, 32))


def test_a_batch_of_one_is_refused():
    with pytest.raises(ValueError, match="batch_size=1"):
        MixImages(encoder_stride=8)(torch.randn(1, 3, 32, 32))


@pytest.mark.parametrize("size", [(32, 36), (30, 32)])
def test_sides_must_be_multiples_of_the_stride(size):
    with pytest.raises(ValueError, match=f"{size[0]}x{size[1]}.*encoder_stride=8"):
        MixImages(encoder_stride=8)(torch.randn(2, 3, *size))


def test_a_grid_too_small_for_the_ratio_is_refused():
    with pytest.raises(ValueError, match="mask_ratio"):
        MixImages(encoder_stride=8)(torch.randn(2, 3, 8, 8))


@pytest.mark.parametrize("per_pair", [False, True])
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.6])
def test_the_ratio_is_exact(ratio, per_pair):
    transform = MixImages(mask_ratio=ratio, per_pair=per_pair, encoder_stride=4)
    mask = transform(torch.randn(4, 3, 28, 28)).mask
    assert mask.sum(dim=(1, 2)).tolist() == [int(49 * ratio)] * (4 if per_pair else 1)


@pytest.mark.parametrize("per_pair", [False, True])
def test_the_fields_of_mixed_images_match(per_pair):
    images = torch.randn(5, 3, 32, 32)
    batch = MixImages(per_pair=per_pair, encoder_stride=8)(images)
    assert batch.images is images
    assert torch.equal(batch.mixed, mix(images, batch.mask, batch.partner))


def test_the_seed_determines_the_mask():
    transform = MixImages(range_mask_ratio=0.3, encoder_stride=4)
    images = torch.randn(2, 3, 64, 64)

    def mask_of(seed):
        torch.manual_seed(seed)
        return transform(images).mask

    assert torch.equal(mask_of(1), mask_of(1))
    assert not torch.equal(mask_of(1), mask_of(2))


@pytest.mark.parametrize("batch_size", [2, 3, 6, 7])
def test_masks_per_pair_are_shared_within_pairs_only(batch_size):
    transform = MixImages(per_pair=True, encoder_stride=4)
    batch = transform(torch.randn(batch_size, 3, 64, 64))
    assert torch.equal(batch.mask, batch.mask[batch.partner])
    assert len(batch.mask.unique(dim=0)) == batch_size // 2


def test_a_range_varies_the_ratio_between_its_ends():
    transform = MixImages(mask_ratio=0.25, range_mask_ratio=0.5, encoder_stride=4)
    images = torch.randn(2, 3, 64, 64)
    counts = {int(transform(images).mask.sum()) for _ in range(50)}
    assert len(counts) > 10
    assert min(counts) >= 256 * 0.25
    assert max(counts) < 256 * 0.75


def test_is_reachable_from_a_config():
    transform = TRANSFORMS.build(dict(type="mim_plugins.MixImages", mask_ratio=0.75))
    assert isinstance(transform, MixImages)
    assert transform.mask_ratio == 0.75


@pytest.mark.parametrize("batch_size", [2, 3])
def test_a_batch_contains_the_mixture_of_each_partner(batch_size):
    batch = MixImages(encoder_stride=8)(torch.randn(batch_size, 3, 16, 16))
    assert batch.mixture[batch.partner].tolist() == list(range(batch_size))


def test_only_a_range_of_ratios_changes_the_number_of_cells():
    assert MixImages(per_pair=True).has_fixed_count
    assert not MixImages(range_mask_ratio=0.1).has_fixed_count
