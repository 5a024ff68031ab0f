import pytest
from mmengine.registry import DATASETS, HOOKS, MODELS, OPTIM_WRAPPER_CONSTRUCTORS, TRANSFORMS

import mim_plugins  # noqa: F401


@pytest.mark.parametrize(
    ("registry", "name"),
    [
        (MODELS, "MixMAE"),
        (MODELS, "MaskedSwin"),
        (MODELS, "MaskedPVT"),
        (MODELS, "MixMAEDecoder"),
        (MODELS, "PixelHead"),
        (MODELS, "MRMAE"),
        (MODELS, "MaskedViT"),
        (MODELS, "MaskedConvViT"),
        (MODELS, "MAEDecoder"),
        (MODELS, "Mimic"),
        (MODELS, "MimicHead"),
        (MODELS, "OpenCLIPTarget"),
        (MODELS, "TimmTarget"),
        (MODELS, "MixDataPreprocessor"),
        (TRANSFORMS, "MixImages"),
        (DATASETS, "UnlabeledImageFolder"),
        (HOOKS, "RunSummaryHook"),
        (OPTIM_WRAPPER_CONSTRUCTORS, "LayerDecayOptimWrapperConstructor"),
    ],
)
def test_everything_is_reachable_from_mmengine_by_its_scoped_name(registry, name):
    assert registry.get(f"mim_plugins.{name}").__name__ == name
