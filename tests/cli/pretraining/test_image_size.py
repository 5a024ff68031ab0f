"""Patches, mask cells and windows that fit an image size."""

import pytest

from mim_plugins.cli.pretraining.image_size import automatic_image_size, fit_image_size
from mim_plugins.cli.pretraining.methods import METHODS, arch_names
from mim_plugins.cli.sizes import parse_size
from mim_plugins.errors import ConfigError


def test_the_recipe_size_gives_the_recipe_settings():
    assert fit_image_size("swin-b", 224) == ((224, 224), 4, 32, (14, 14, 14, 7))
    assert fit_image_size("vit-b", 224) == ((224, 224), 16, 16, ())


@pytest.mark.parametrize("arch", [f"{family}-b" for family in ("swin", "vit", "mcmae")])
def test_at_least_16_cells_remain_at_every_size(arch):
    sizes = []
    for side in range(32, 513):
        try:
            sizes.append(fit_image_size(arch, side))
        except ConfigError:
            continue
    assert len(sizes) > 10
    for size in sizes:
        assert size.shape[0] % size.cell == 0
        assert (size.shape[0] // size.cell) ** 2 >= 16


@pytest.mark.parametrize("side", [64, 96, 128, 160, 192, 256, 288, 384, 512])
def test_windows_divide_their_grids(side):
    size = fit_image_size("swin-t", side)
    for stage, window in enumerate(size.windows):
        assert side // (size.patch * 2**stage) % window == 0


def test_windows_of_awkward_grids_are_not_tiny():
    assert fit_image_size("swin-t", 32 * 17).windows == (8, 14, 7, 9)


@pytest.mark.parametrize("shape", [(192, 256), (64, 96), (160, 128), (32, 512)])
def test_windows_of_rectangles_need_little_padding(shape):
    size = fit_image_size("swin-t", shape)
    assert size.shape == shape
    assert f"{shape[0]}x{shape[1]} px" in size.describe()
    for stage, window in enumerate(size.windows):
        grid = [side // (size.patch * 2**stage) for side in shape]
        if window == "global":
            assert max(grid) <= 16
        else:
            padded = [-(-side // window) * window for side in grid]
            assert padded[0] * padded[1] <= 1.25 * grid[0] * grid[1]


@pytest.mark.parametrize(
    ("arch", "side", "near"),
    [
        ("swin-t", 100, "use 96 or 112"),
        ("swin-t", 230, "use 224 or 256"),
        ("swin-t", 8, "use 32"),
        ("swin-t", -5, "use 32"),
        ("vit-b", 225, "use 224 or 240"),
        ("pvt-s", 96, "use 128"),
        ("swin-t", (190, 250), "use 192x256"),
        ("swin-t", (20, 100), "use 32x96"),
        ("vit-b", (224, 225), "use 224"),
    ],
)
def test_unfit_sizes_are_errors_with_the_nearest_ones(arch, side, near):
    with pytest.raises(
        ConfigError, match=rf"img_size -?\d+(x\d+)? fits no grid of {arch}: {near}$"
    ):
        fit_image_size(arch, side)


def test_huge_sizes_are_errors():
    with pytest.raises(ConfigError, match="img_size 32x100000 exceeds 8192 pixels per side"):
        fit_image_size("swin-t", (32, 100_000))


def test_automatic_size_never_enlarges_images():
    assert automatic_image_size("swin-t", 224, 500).shape == (224, 224)
    assert automatic_image_size("swin-t", 224, 200).shape == (192, 192)
    assert automatic_image_size("vit-t", 128, 33).shape == (32, 32)


@pytest.mark.parametrize("method", METHODS)
def test_images_smaller_than_any_size_are_an_error(method):
    for arch in arch_names(method):
        with pytest.raises(ConfigError, match=r"too small for .* 20 px .*--img-size \d+ enlarges"):
            automatic_image_size(arch, 224, 20)


@pytest.mark.parametrize(
    ("size", "ratio", "fitting"),
    [
        (64, 8, "64x512"),
        (64, 1 / 8, "512x64"),
        (224, 5.2, "224x1152"),
        ((512, 64), 8, "64x512"),
        ((64, 512), 1, "64"),
        (64, 1000, "64x8192"),
    ],
)
def test_shapes_of_which_crops_contain_little_are_noted(size, ratio, fitting):
    fitted = fit_image_size("swin-t", size)
    note = fitted.shape_note(ratio)
    assert f"--img-size {fitting} has" in note
    better = fit_image_size("swin-t", parse_size(fitting))
    assert ratio == 1000 or not better.shape_note(ratio)


@pytest.mark.parametrize(
    ("size", "ratio"), [(64, 1), (224, 4.9), (224, 0.21), ((64, 512), 8), ((64, 512), 2)]
)
def test_usual_shapes_have_no_note(size, ratio):
    assert fit_image_size("swin-t", size).shape_note(ratio) == ""
