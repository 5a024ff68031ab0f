"""Checkpoints of models inside the wrappers of PyTorch and of other models."""

import pytest
import torch
from described_encoders import encoder_of, pretraining, trained
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

from mim_plugins.apis import get_model, load_weights
from mim_plugins.checkpoints import load_pretrained, to_timm
from mim_plugins.checkpoints.export import export_backbone
from mim_plugins.checkpoints.wrapped_names import unwrap_tensors
from mim_plugins.errors import CheckpointError

WRAPPERS = ["_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "_fsdp_wrapped_module."]
KINDS = ["vit", "large_windows", "conv_vit"]


def saved(path, tensors, begin=""):
    torch.save({f"{begin}{name}": tensor for name, tensor in tensors.items()}, path)
    return path


def check_loaded(name, source, path, prefix):
    """Load an encoder's tensors into another one, and compare them."""
    target = encoder_of(name).backbone
    load_pretrained(target, path, prefix)
    for ours, expected in zip(target.parameters(), source.parameters(), strict=True):
        assert torch.equal(ours, expected)


@pytest.mark.parametrize("begin", WRAPPERS)
@pytest.mark.parametrize("name", KINDS)
def test_encoders_in_wrappers_load_as_without(name, begin, tmp_path):
    source = encoder_of(name).backbone
    file = saved(tmp_path / "a.pth", source.state_dict(), begin)
    for prefix in (None, "backbone.", begin):
        check_loaded(name, source, file, prefix)
    file = saved(tmp_path / "b.pth", source.state_dict(), f"{begin}backbone.")
    for prefix in ("backbone.", f"{begin}backbone."):
        check_loaded(name, source, file, prefix)
    inside = saved(tmp_path / "c.pth", source.state_dict(), "backbone._orig_mod.")
    check_loaded(name, source, inside, "backbone.")


@pytest.mark.parametrize(
    ("begin", "prefix"),
    [
        *((wrapper, "backbone.") for wrapper in WRAPPERS),
        ("model.", "model."),
        ("model._orig_mod.", "model."),
        ("a.student.", "a.student."),
    ],
)
def test_other_code_bases_load_in_wrappers_and_models(begin, prefix, tmp_path):
    source = encoder_of("vit").backbone
    tensors = to_timm(dict(source.state_dict()), "MaskedViT")
    file = saved(tmp_path / "a.pth", tensors | {"head.weight": torch.ones(2)}, begin)
    for given in (prefix, begin):
        check_loaded("vit", source, file, given)


def test_the_suggested_prefix_loads(tmp_path):
    source = encoder_of("vit").backbone
    tensors = to_timm(dict(source.state_dict()), "MaskedViT")
    file = saved(tmp_path / "a.pth", tensors, "net._orig_mod.")
    with pytest.raises(CheckpointError, match=r"use prefix='net\.', which fits"):
        load_pretrained(encoder_of("vit").backbone, file, "backbone.")
    check_loaded("vit", source, file, "net.")
    done = export_backbone(file, tmp_path / "b.pth", "torch", "net.")
    assert done.backbone == "MaskedViT"
    assert "under prefix 'net.'" in done.origin


@pytest.mark.parametrize("is_wrapped", [True, False])
def test_complete_models_load_in_and_from_wrappers(is_wrapped, tmp_path):
    cfg = pretraining("vit")
    model = trained(cfg)
    expected = [each.clone() for each in model.parameters()]
    model.backbone = torch.compile(model.backbone)
    file = saved(tmp_path / "a.pth", model.state_dict())
    target = get_model(cfg)
    if is_wrapped:
        target.backbone = torch.compile(target.backbone)
    load_weights(target, file)
    assert all(map(torch.equal, target.parameters(), expected))


def test_encoders_with_wrapped_stages_load_their_own_names(tmp_path):
    source, target = (encoder_of("large_windows").backbone for _ in range(2))
    for each in (source, target):
        each.stages[1] = torch.compile(each.stages[1])
    load_pretrained(target, saved(tmp_path / "a.pth", source.state_dict()))
    assert all(map(torch.equal, target.parameters(), source.parameters()))
    source.stages[0] = checkpoint_wrapper(source.stages[0])
    check_loaded("large_windows", source, saved(tmp_path / "b.pth", source.state_dict()), None)


def test_two_tensors_with_one_name_are_refused():
    tensors = {"_orig_mod.a": torch.ones(1), "a": torch.ones(1)}
    with pytest.raises(CheckpointError, match=r"'x\.pth': two tensors are named 'a'"):
        unwrap_tensors(tensors, {}, "x.pth")
    assert set(unwrap_tensors({"a.module.b": torch.ones(1)}, {}, "")) == {"a.module.b"}
