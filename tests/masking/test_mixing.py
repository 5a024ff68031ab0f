import itertools

import pytest
import torch
from torch.distributed.utils import _to_kwargs

from mim_plugins.layers import patchify
from mim_plugins.masking import (
    MixedImages,
    choose_partners,
    count_masked,
    inverse_permutation,
    mix,
    sample_masks,
    unmix,
)


def shared_and_per_pair_masks(batch_size, grid=(4, 3)):
    """Return a shared mask, and masks per image that are equal within exchanged pairs."""
    partner = choose_partners(batch_size).tolist()
    own = sample_masks(batch_size, grid, 0.5)
    for start in range(batch_size):
        image = partner[start]
        while image != start:
            own[image] = own[start]
            image = partner[image]
    return [sample_masks(1, grid, 0.5), own]


@pytest.mark.parametrize("batch_size", range(2, 10))
def test_partners_are_the_batch_reversed_with_nobody_alone(batch_size):
    partner, middle = choose_partners(batch_size).tolist(), batch_size // 2
    assert sorted(partner) == list(range(batch_size))
    assert all(image != other for image, other in enumerate(partner))
    odd = {middle - 1, middle, middle + 1} if batch_size % 2 else set()
    for image in set(range(batch_size)) - odd:
        assert partner[image] == batch_size - 1 - image


@pytest.mark.parametrize("batch_size", [0, 1])
def test_a_single_image_cannot_be_paired(batch_size):
    with pytest.raises(ValueError, match=f"batch_size={batch_size}"):
        choose_partners(batch_size)


def test_inverse_permutation_finds_the_mixture_of_each_partner():
    partner = choose_partners(7)
    mixture = inverse_permutation(partner)
    assert torch.equal(partner[mixture], torch.arange(7))
    assert torch.equal(mixture[partner], torch.arange(7))


@pytest.mark.parametrize(("cells", "ratio", "expected"), [(49, 0.5, 24), (4, 0.25, 1), (9, 0.9, 8)])
def test_count_of_masked_cells_is_rounded_down(cells, ratio, expected):
    assert count_masked(cells, ratio) == expected


@pytest.mark.parametrize(("cells", "ratio"), [(49, 0.01), (1, 0.5), (4, 1.0), (4, 0.0), (4, 1.5)])
def test_a_ratio_that_leaves_an_image_without_a_cell_is_refused(cells, ratio):
    with pytest.raises(ValueError, match=rf"mask_ratio={ratio} .*of {cells} cells"):
        count_masked(cells, ratio)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.75])
def test_masks_have_exactly_the_ratio_and_differ(ratio):
    masks = sample_masks(8, (7, 7), ratio)
    assert masks.shape == (8, 7, 7)
    assert masks.dtype == torch.bool
    assert masks.sum(dim=(1, 2)).tolist() == [int(49 * ratio)] * 8
    assert len(masks.unique(dim=0)) > 1


def test_masks_are_uniform_over_the_cells():
    share = sample_masks(4000, (3, 3), 0.5).float().mean(dim=0)
    assert torch.allclose(share, torch.full((3, 3), 4 / 9), atol=0.04)


@pytest.mark.parametrize("batch_size", [2, 3, 4, 5])
def test_a_mixture_has_partner_pixels_where_the_mask_is_true(batch_size):
    images = torch.randn(batch_size, 3, 8, 6)
    before, partner = images.clone(), choose_partners(batch_size)
    for mask in shared_and_per_pair_masks(batch_size):
        mixed = mix(images, mask, partner)
        assert torch.equal(images, before)

        cells = itertools.product(range(batch_size), range(4), range(3))
        for image, row, col in cells:
            source = partner[image] if mask[image % len(mask), row, col] else image
            area = (..., slice(2 * row, 2 * row + 2), slice(2 * col, 2 * col + 2))
            assert torch.equal(mixed[image][area], images[source][area])


@pytest.mark.parametrize("batch_size", [2, 3, 4, 7])
def test_unmixing_perfect_predictions_gives_the_images(batch_size):
    images = torch.randn(batch_size, 3, 8, 6)
    partner = choose_partners(batch_size)
    patches = patchify(images, 2)
    for mask in shared_and_per_pair_masks(batch_size):
        mixtures = (patches, patches[partner], mask, partner)
        assert torch.equal(unmix(*mixtures), patches)
        assert torch.equal(unmix(*mixtures, inverse_permutation(partner)), patches)


@pytest.mark.parametrize("batch_size", [2, 3, 4, 7])
def test_each_patch_is_predicted_from_a_mixture_that_masks_it(batch_size):
    partner = choose_partners(batch_size)
    mixture = torch.arange(batch_size).float()[:, None, None].expand(-1, 12, 1)
    for mask in shared_and_per_pair_masks(batch_size):
        # predictions encode their mixture; those of the partner are negative
        source = unmix(mixture, -1 - mixture, mask, partner)

        for image, cell in itertools.product(range(batch_size), range(12)):
            value = int(source[image, cell, 0])
            from_mixture = value if value >= 0 else -1 - value
            hidden_by = mask.flatten(1)[from_mixture % len(mask), cell]
            if value >= 0:  # the own mixture shows the partner here
                assert from_mixture == image
                assert hidden_by
            else:  # here, the image is the partner in a mixture that shows the other image
                assert partner[from_mixture] == image
                assert not hidden_by


def test_distributed_data_parallel_does_not_move_batches():
    images, mask = torch.zeros(2, 3, 4, 4), torch.ones(1, 2, 2, dtype=torch.bool)
    batch = MixedImages(images, images, mask, torch.tensor([1, 0]))
    _, (moved,) = _to_kwargs((), dict(inputs=batch), torch.device("meta"), False)
    assert moved["inputs"] is batch
