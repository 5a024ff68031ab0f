"""Classification recipes take a step and evaluate on tiny data in the official layouts."""

import json

import pytest
import torch
from config_files import load_config
from image_folders import write_images
from mmengine.evaluator import Evaluator
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

import mim_plugins  # noqa: F401
from mim_plugins.cli import resolve_precision, run_config
from mim_plugins.registry import MODELS

pytest.importorskip("mmpretrain", exc_type=ImportError)

TINY = {
    "mim_plugins.MaskedSwin": (
        dict(arch=dict(embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2)), window_size=4),
        64,
    ),
    "mim_plugins.MaskedViT": (dict(arch=dict(depth=1, embed_dims=16, num_heads=2)), 16),
    "mim_plugins.MaskedConvViT": (
        dict(arch=dict(depths=(1, 1, 1), embed_dims=(8, 8, 16), mlp_ratios=(1, 1, 1), num_heads=2)),
        16,
    ),
}
NUM_CLASSES = dict(imagenet=1000, inat2018=8142, inat2019=1010, places205=205, places365=365)
TRANSFER = [
    f"transfer/{data}/{model}_{data}_100e.py"
    for data in NUM_CLASSES
    if data != "imagenet"
    for model in ("mixmae_swin_b", "mrmae_vit_b", "mrmae_mcmae_b")
]
OURS = ("mixmae/swin_b", "mrmae/vit_b", "mrmae/mcmae_b")
PROBES = [f"{model}_linear_probe_90e.py" for model in OURS]
FEW_LABELS = [f"{model}_finetune_{share}percent.py" for model in OURS for share in (1, 10)]
FULL = [f"{model}_finetune_100e.py" for model in OURS]


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


def write_image(file):
    write_images(file.parent, 1, (70, 90)).joinpath("00.jpg").rename(file)


def write_imagenet(root):
    for label in range(1000):
        for split in ("train", "val"):
            (root / split / f"n{label:08d}").mkdir(parents=True)
    for split in ("train", "val"):
        for label in (1, 999):
            write_image(root / split / f"n{label:08d}/1.JPEG")
    (root / "meta").mkdir()
    for share in (1, 10):
        (root / f"meta/train_{share}percent.txt").write_text(
            "n00000001/1.JPEG 1\nn00000999/1.JPEG 999\n"
        )
    return [1, 999]


def write_inat(root, year, classes):
    for split in ("train", "val"):
        names = [f"train_val{year}/Aves/{label}/{split}.jpg" for label in (4, classes - 1)]
        for name in names:
            write_image(root / name)
        content = dict(
            images=[dict(id=i, file_name=name) for i, name in enumerate(names)],
            annotations=[
                dict(image_id=0, category_id=4),
                dict(image_id=1, category_id=classes - 1),
            ],
            categories=[dict(id=i, name=str(i)) for i in range(classes)],
        )
        (root / f"{split}{year}.json").write_text(json.dumps(content))
    return [4, classes - 1]


def write_places205(root):
    (root / "trainvalsplit_places205").mkdir(parents=True)
    names = ["a/abbey/gsun_1.jpg", "y/yard/gsun_2.jpg"]
    for name in names:
        write_image(root / "data/vision/torralba/deeplearning/images256" / name)
    for split in ("train", "val"):
        (root / f"trainvalsplit_places205/{split}_places205.csv").write_text(
            f"{names[0]} 0\n{names[1]} 204\n"
        )
    return [0, 204]


def write_places365(root):
    root.mkdir()
    (root / "categories_places365.txt").write_text(
        "".join(f"/c/class{label} {label}\n" for label in range(365))
    )
    (root / "places365_train_standard.txt").write_text("/c/class0/1.jpg 0\n/c/class364/1.jpg 364\n")
    (root / "places365_val.txt").write_text("val_1.jpg 0\nval_2.jpg 364\n")
    for name in ("data_256/c/class0/1", "data_256/c/class364/1", "val_256/val_1", "val_256/val_2"):
        write_image(root / f"{name}.jpg")
    return [0, 364]


WRITERS = dict(
    imagenet=write_imagenet,
    inat2018=lambda root: write_inat(root, 2018, 8142),
    inat2019=lambda root: write_inat(root, 2019, 1010),
    places205=write_places205,
    places365=write_places365,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a function that writes a data set once; it returns folder and labels of the splits."""
    folder, written = tmp_path_factory.mktemp("data"), {}

    def write(name):
        if name not in written:
            written[name] = (folder / name, WRITERS[name](folder / name))
        return written[name]

    return write


def data_of(name):
    return name.split("/")[1] if name.startswith("transfer/") else "imagenet"


def load_tiny(name, root):
    """Return the recipe with a tiny encoder, images of 64 pixels and batches of two."""
    cfg = load_config(name)
    backbone = cfg.model.backbone
    encoder = backbone.get("encoder", backbone)
    changes, dim = TINY[encoder.type]
    encoder.pop("arch")
    encoder.update(changes, img_size=64, init_cfg=None)
    cfg.model.head.in_channels = dim
    if cfg.model.get("neck"):
        cfg.model.neck.input_features = dim
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(batch_size=2, num_workers=0, persistent_workers=False, pin_memory=False)
        for transform in loader.dataset.pipeline:
            for key in {"scale", "crop_size"} & set(transform):
                transform[key] = 64
    cfg.test_dataloader = cfg.val_dataloader
    run_config.apply_data_root(cfg, str(root))
    resolve_precision(cfg)
    return cfg


def build_model(cfg):
    return MODELS.build(cfg.model | dict(data_preprocessor=cfg.data_preprocessor))


@pytest.mark.parametrize("name", TRANSFER + PROBES + FEW_LABELS + FULL)
def test_takes_a_step_and_evaluates(data, name):
    root, labels = data(data_of(name))
    cfg = load_tiny(name, root)
    model = build_model(cfg)
    model.init_weights()
    before = {key: tensor.clone() for key, tensor in model.backbone.state_dict().items()}
    head = model.head.fc.weight.clone()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)

    (batch,) = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    losses = model.train().train_step(batch, wrapper)
    if name in PROBES:
        check_probe(model, wrapper)

    assert sorted(int(sample.gt_label) for sample in batch["data_samples"]) == labels
    assert all(torch.isfinite(value).all() for value in losses.values())
    assert not torch.equal(model.head.fc.weight, head)
    assert model.head.fc.out_features == NUM_CLASSES[data_of(name)]
    after = model.backbone.state_dict()
    same = [torch.equal(after[key], tensor) for key, tensor in before.items()]
    assert all(same) if name in PROBES else not all(same)

    loader = Runner.build_dataloader(cfg.val_dataloader, seed=0)
    evaluator = Evaluator(cfg.val_evaluator)
    for batch in loader:
        evaluator.process(model.eval().val_step(batch), batch)
    metrics = evaluator.evaluate(len(loader.dataset))
    assert set(metrics) == {"accuracy/top1", "accuracy/top5"}


def check_probe(model, wrapper):
    """Only the linear layer is trained."""
    trained = {key for key, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {"head.fc.weight", "head.fc.bias"}
    assert not any(module.training for module in model.backbone.modules())
    assert model.neck.bn.training
    assert not model.neck.bn.affine
    groups = wrapper.optimizer.param_groups
    excluded = [group for group in groups if group.get("lars_exclude")]
    assert [p.shape for group in excluded for p in group["params"]] == [(1000,)]


def test_few_labels_take_as_many_steps():
    one, ten = (load_config(f"mixmae/swin_b_finetune_{n}percent.py") for n in (1, 10))
    assert one.train_dataloader.dataset.ann_file == "meta/train_1percent.txt"
    assert ten.train_dataloader.dataset.ann_file == "meta/train_10percent.txt"
    assert one.train_cfg.max_epochs == 10 * ten.train_cfg.max_epochs
    assert "ann_file" not in one.val_dataloader.dataset


@pytest.mark.parametrize("name", ["mixmae/swin_b_600e", "mrmae/vit_b_400e"])
def test_k_nn_is_all_that_the_variant_adds(name):
    plain, variant = (load_config(f"{name}{end}.py") for end in ("", "_knn"))
    assert variant.default_hooks.pop("knn") == dict(type="mim_plugins.KNNHook", interval=20)
    assert variant.to_dict() == plain.to_dict()
