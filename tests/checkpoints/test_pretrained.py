import pytest
import torch
from torch import nn

from mim_plugins.checkpoints import load_pretrained
from mim_plugins.errors import CheckpointError
from mim_plugins.layers import resize_on_load


class Encoder(nn.Module):
    allow_missing = {"extra.": "", "pooled.": "last.", "last.": "pooled."}
    allow_unexpected = ("extra.", "pooled.", "aside.")

    def __init__(self, parts=("last",), depth=2, dim=4, grid=2):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.ModuleDict(dict(norm1=nn.LayerNorm(dim), fc=nn.Linear(dim, dim)))
            for _ in range(depth)
        )
        for block in self.blocks:
            nn.init.normal_(block["norm1"].weight)
        self.register_buffer("pos_embed", torch.randn(1, grid, grid, dim))
        self.register_load_state_dict_pre_hook(resize_on_load("pos_embed"))
        for part in parts:
            self.add_module(part, nn.Linear(dim, dim))


def save(path, module, prefix="backbone.", **more):
    tensors = {prefix + name: tensor for name, tensor in module.state_dict().items()}
    torch.save({"state_dict": tensors | more}, path)
    return str(path)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "x.pth"


def test_every_tensor_is_loaded_and_one_line_is_logged(file, monkeypatch):
    lines = []
    monkeypatch.setattr(
        "mim_plugins.checkpoints.pretrained.print_log", lambda text, logger: lines.append(text)
    )
    saved, loaded = Encoder(), Encoder()
    save(file, saved, **{"decoder.a": torch.ones(1), "decoder.b": torch.ones(1)})
    report = load_pretrained(loaded, file, "backbone.")
    assert all(torch.equal(t, saved.state_dict()[n]) for n, t in loaded.state_dict().items())
    assert report == (len(saved.state_dict()), (), {"decoder": 2}, ())
    assert len(lines) == 1
    assert f"loaded {report.loaded} tensors" in lines[0]
    assert "unexpected: 2 (decoder 2)" in lines[0]
    assert "\n" not in lines[0]


def test_resized_tensors_are_reported(file):
    save(file, Encoder(grid=2))
    report = load_pretrained(Encoder(grid=5), file, "backbone.")
    assert report.resized == ("pos_embed",)


def test_allowed_missing_and_unexpected_tensors_are_reported(file):
    save(file, Encoder(("last", "aside")))
    report = load_pretrained(Encoder(("pooled", "extra")), file, "backbone.")
    assert report.missing == ("extra.bias", "extra.weight", "pooled.bias", "pooled.weight")
    assert report.unexpected == {"backbone.last": 2, "backbone.aside": 2}


def test_a_substitute_may_be_unused_only_if_it_is_needed(file):
    """A ViT of mmpretrain may normalize tokens and their mean, which is neither of our encoders."""
    save(file, Encoder(("last", "pooled")))
    report = load_pretrained(Encoder(("last",)), file, "backbone.")
    assert report.unexpected == {"backbone.pooled": 2}
    with pytest.raises(CheckpointError, match=r"last\.bias"):
        load_pretrained(Encoder(("pooled",)), file, "backbone.")


def test_a_part_may_be_missing_only_if_its_substitute_exists(file):
    save(file, Encoder(()))
    with pytest.raises(CheckpointError, match=r"2 missing in the file: pooled\.bias, pooled\.weig"):
        load_pretrained(Encoder(("pooled",)), file, "backbone.")


def test_a_partly_missing_part_is_an_error(file):
    tensors = {f"backbone.{n}": t for n, t in Encoder(("extra",)).state_dict().items()}
    del tensors["backbone.extra.bias"]
    torch.save(tensors, file)
    with pytest.raises(CheckpointError, match=r"1 missing in the file: extra\.bias"):
        load_pretrained(Encoder(("extra",)), file, "backbone.")


def test_unknown_tensors_are_listed(file):
    save(file, Encoder(), **{"backbone.surprise": torch.ones(1)})
    with pytest.raises(CheckpointError, match=r"x\.pth.*1 unknown to the model: surprise"):
        load_pretrained(Encoder(), file, "backbone.")


def test_another_architecture_is_described_with_its_sizes(file):
    save(file, Encoder(depth=4, dim=8))
    with pytest.raises(
        CheckpointError,
        match=r"file contains blocks 4 x 8, the model blocks 2 x 4.*unknown to the model: blocks\.2"
        r".*of another shape: blocks\.0\.fc\.bias 8 in the file, 4 in the model",
    ) as caught:
        load_pretrained(Encoder(), file, "backbone.")
    assert "\n" not in str(caught.value)


def test_another_architecture_does_not_suggest_a_prefix(file):
    save(file, Encoder(depth=4, dim=8), prefix="")
    with pytest.raises(CheckpointError, match="build Encoder with the arguments of the run"):
        load_pretrained(Encoder(), file, "backbone.")


def test_a_wrong_prefix_suggests_the_fitting_one(file):
    save(file, Encoder(), **{"decoder.blocks.0.norm1.weight": torch.ones(4)})
    with pytest.raises(CheckpointError, match=r"use prefix='backbone\.'"):
        load_pretrained(Encoder(), file, "decoder.")


def test_values_that_are_not_finite_are_refused(file):
    saved = Encoder()
    saved.blocks[1]["fc"].weight.data[0, 0] = float("nan")
    save(file, saved)
    with pytest.raises(CheckpointError, match=r"NaN.*blocks\.1\.fc\.weight"):
        load_pretrained(Encoder(), file, "backbone.")


class Late(nn.Module):
    """Module that refuses its second tensor after the first one has been copied."""

    def __init__(self, rows):
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.second = nn.Module()
        self.second.relative_position_bias_table = nn.Parameter(torch.randn(rows, 2))


def test_a_load_that_fails_halfway_changes_nothing(file):
    save(file, Late(10))
    module = Late(9)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"x\.pth.*relative_position_bias_table"):
        load_pretrained(module, file, "backbone.")
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_a_module_without_declarations_must_agree_completely(file):
    save(file, nn.Linear(2, 2, bias=False), "")
    with pytest.raises(CheckpointError, match="missing in the file: bias"):
        load_pretrained(nn.Linear(2, 2), file)
