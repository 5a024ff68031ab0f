import copy
from pathlib import Path

import pytest
import torch
from parity.reference_pass import mixmim_model

from mim_plugins import get_model
from mim_plugins.algorithms import MixMAE
from mim_plugins.apis import build_model, load_weights
from mim_plugins.checkpoints import read_reference
from mim_plugins.errors import CheckpointError
from mim_plugins.registry import MODELS

ONE = torch.ones(1)
NAME = "backbone.norm.weight"
GOLDEN = Path(__file__).parents[1] / "data/mixmim_tiny.npz"


@pytest.fixture
def save(tmp_path):
    def write(weights):
        torch.save(dict(state_dict=weights), tmp_path / "weights.pth")
        return tmp_path / "weights.pth"

    return write


def weights_of(cfg, teachers=False):
    torch.manual_seed(7)
    return build_model(cfg, teachers).state_dict()


def test_a_pre_training_config_gives_its_algorithm(pretrain_cfg, save):
    before = copy.deepcopy(pretrain_cfg.to_dict())
    weights = weights_of(pretrain_cfg)
    model = get_model(pretrain_cfg, save(weights))
    assert isinstance(model, MixMAE)
    assert not model.training
    assert pretrain_cfg.to_dict() == before
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def test_a_fine_tuning_config_gives_its_classifier(finetune_cfg, save):
    weights = weights_of(finetune_cfg)
    model = get_model(finetune_cfg, save(weights))
    assert type(model).__name__ == "ImageClassifier"
    assert torch.equal(model.head.fc.weight, weights["head.fc.weight"])
    assert model.data_preprocessor.to_rgb


def test_a_model_is_built_from_a_name_and_options():
    sizes = dict(depths=(1, 1), embed_dims=8, num_heads=(1, 1), _delete_=True)
    options = {"model.backbone.arch": sizes, "model.backbone.img_size": 32}
    options |= {"model.backbone.window_size": 4, "model.decoder.depth": 1}
    model = get_model("swin_b_600e", cfg_options=options)
    assert model.backbone.img_size == (32, 32)


def test_teachers_are_built_on_request_only(mrmae_cfg, save):
    model = get_model(mrmae_cfg, save(weights_of(mrmae_cfg) | {"mimics.clip.head.proj.bias": ONE}))
    assert len(model.mimics) == 0
    assert model.focus_teacher is None
    mrmae_cfg.model.mimics.clip.target_generator.pretrained = "nowhere.safetensors"
    with pytest.raises((FileNotFoundError, ImportError)):
        get_model(mrmae_cfg, teachers=True)


def test_a_checkpoint_without_decoder_is_refused(pretrain_cfg, finetune_cfg, save):
    encoder = {n: t for n, t in weights_of(pretrain_cfg).items() if n.startswith("backbone.")}
    with pytest.raises(CheckpointError, match=r"has no decoder.*epoch_N\.pth"):
        get_model(pretrain_cfg, save(encoder))
    with pytest.raises(CheckpointError, match="has no decoder"):
        get_model(pretrain_cfg, save(weights_of(finetune_cfg)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("backbone.norm.bias"), "1 missing in the file.*backbone.norm.bias"),
        (lambda w: w.update(extra=ONE), "1 unknown to the model: extra"),
        (lambda w: w.update({"backbone.norm.bias": ONE}), r"size.*backbone.norm.bias"),
        (lambda w: [w.pop(n) for n in list(w)] and w.update(a=ONE), "missing"),
    ],
)
def test_weights_that_do_not_fit_are_refused(finetune_cfg, save, change, message):
    weights = weights_of(finetune_cfg)
    change(weights)
    with pytest.raises(CheckpointError, match=f"(?s)ImageClassifier.*{message}"):
        get_model(finetune_cfg, save(weights))


def test_a_missing_checkpoint_is_refused(finetune_cfg, tmp_path):
    assert get_model(finetune_cfg) is not None
    with pytest.raises((CheckpointError, FileNotFoundError), match=r"nothing\.pth"):
        load_weights(torch.nn.Linear(1, 1), tmp_path / "nothing.pth")


def test_classifiers_work_in_mmpretrains_inferencer(finetune_cfg, save, photo):
    from mmpretrain import ImageClassificationInferencer

    model = get_model(finetune_cfg, save(weights_of(finetune_cfg)))
    (result,) = ImageClassificationInferencer(model)(photo)
    assert result["pred_scores"].shape == (5,)
    assert result["pred_scores"].sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.to(torch.int64), r"norm\.weight \(int64, where float32 is expected\)"),
        (lambda t: t > 0, r"\(bool, where"),
        (lambda t: t.to(torch.complex128), r"\(complex128, where"),
        (lambda t: t.to(torch.float8_e5m2), r"\(float8_e5m2, where"),
        (lambda t: t.double() + 1e300, r"exceed the range .*1\.0e\+300"),
        (lambda t: t.to_sparse(), "sparse_coo"),
    ],
)
def test_weights_of_another_kind_are_refused(pretrain_cfg, save, change, message):
    weights = weights_of(pretrain_cfg)
    weights[NAME] = change(weights[NAME])
    with pytest.raises(CheckpointError, match=rf"weights\.pth.*{message}"):
        get_model(pretrain_cfg, save(weights))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_first_tensor_that_is_not_finite_is_named(pretrain_cfg, save, bad):
    weights = weights_of(pretrain_cfg)
    size = weights[NAME].numel()
    weights[NAME] = weights[NAME].clone()
    weights[NAME][: size // 4] = bad
    message = rf"weights\.pth' contains NaN .* 1 of \d+ tensors: {NAME} \(25 % of its values\)"
    with pytest.raises(CheckpointError, match=message):
        get_model(pretrain_cfg, save(weights))


def test_weights_of_the_authors_are_converted_and_checked(tmp_path):
    reference = read_reference(GOLDEN)
    model = MODELS.build(mixmim_model(reference["config"]))
    load_weights(model, GOLDEN)
    assert torch.equal(model.backbone.norm.weight, reference["param"]["norm.weight"])
    for name, value, message in (
        ("norm.weight", torch.ones(1).to(torch.int8), r"int8, where float32"),
        ("surprise", ONE, "tensors are unknown: surprise"),
        ("absolute_pos_embed", ONE, "absolute_pos_embed has shape"),
    ):
        torch.save(reference["param"] | {name: value}, tmp_path / "x.pth")
        with pytest.raises(CheckpointError, match=rf"x\.pth'.*{message}"):
            load_weights(model, tmp_path / "x.pth")


def test_complete_mmpretrain_checkpoints_are_converted(save):
    sizes = dict(num_layers=1, num_heads=2, feedforward_channels=32)
    neck = dict(decoder_embed_dim=8, decoder_depth=1, decoder_num_heads=2, num_patches=4)
    theirs = MODELS.build(
        dict(
            type="mmpretrain.MAE",
            backbone=dict(type="MAEViT", arch=dict(embed_dims=8, **sizes), img_size=32),
            neck=dict(type="MAEPretrainDecoder", embed_dim=8, mlp_ratio=4, **neck),
            head=dict(
                type="MAEPretrainHead", loss=dict(type="PixelReconstructionLoss", criterion="L2")
            ),
        )
    )
    theirs.init_weights()
    ours = MODELS.build(
        dict(
            type="MRMAE",
            backbone=dict(
                type="MaskedViT", arch=dict(depth=1, embed_dims=8, num_heads=2), img_size=32
            ),
            decoder=dict(type="MAEDecoder", embed_dims=8, depth=1, num_heads=2),
            head=dict(type="PixelHead"),
            data_preprocessor=dict(type="MixDataPreprocessor"),
        )
    )
    weights = theirs.state_dict()
    load_weights(ours, save(weights))
    assert torch.equal(ours.backbone.norm.weight, weights["backbone.ln1.weight"])
    assert torch.equal(ours.decoder.mask_token, weights["neck.mask_token"])
