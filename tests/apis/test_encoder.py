"""Encoders from files that describe themselves."""

import copy
import json
import random

import pytest
import torch
from described_encoders import (
    ALGORITHMS,
    assert_same_features,
    change,
    exported,
    pretraining,
    read_metadata,
    save_checkpoint,
    trained,
)
from safetensors.torch import load_file, save_file

import mim_plugins
from mim_plugins.apis.encoder import build_encoder
from mim_plugins.checkpoints.description import parse_description
from mim_plugins.errors import CheckpointError


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_file_alone_gives_the_features_of_the_run(name, tmp_path, photos):
    model, file = exported(pretraining(name), tmp_path)
    assert_same_features(model, mim_plugins.load(file), photos)


def test_checkpoint_of_a_run_loads_as_well(tmp_path, photos):
    cfg = pretraining("pvt")
    model = trained(cfg)
    file = save_checkpoint(model, cfg, tmp_path / "epoch_3.pth")
    assert_same_features(model, mim_plugins.load(file), photos)


@pytest.mark.parametrize("out_type", ["avg_featmap", "featmap"])
def test_pipeline_of_fine_tuning_is_kept(finetune_cfg, out_type, tmp_path, photos):
    finetune_cfg.model.backbone.out_type = out_type
    finetune_cfg.data_preprocessor.to_rgb = out_type == "featmap"
    resize = finetune_cfg.test_dataloader.dataset.pipeline[1]
    resize.update(scale=40, interpolation="bilinear", backend="cv2")
    if out_type == "featmap":
        finetune_cfg.model.neck = dict(type="GlobalAveragePooling")
    model, file = exported(finetune_cfg, tmp_path)
    encoder = mim_plugins.load(file)
    assert_same_features(model, encoder, photos)
    assert encoder.preprocessing.resize == (40, 40)
    assert encoder.preprocessing.channel_order == ("rgb" if out_type == "featmap" else "bgr")


@pytest.mark.parametrize("channels", [1, 3])
def test_rectangles_and_gray_images(channels, tmp_path, photos):
    cfg = pretraining("large_windows", img_size=(32, 64), in_channels=channels)
    del cfg.model.data_preprocessor.mean, cfg.model.data_preprocessor.std
    model, file = exported(cfg, tmp_path)
    encoder = mim_plugins.load(file)
    assert encoder.preprocessing.size == (32, 64)
    assert_same_features(model, encoder, photos)


def test_saved_encoder_is_the_same(tmp_path, photos):
    model, file = exported(pretraining("conv_vit"), tmp_path)
    mim_plugins.load(file).save(tmp_path / "b.safetensors")
    assert_same_features(model, mim_plugins.load(tmp_path / "b.safetensors"), photos)
    with pytest.raises(CheckpointError, match="exists already"):
        mim_plugins.load(file).save(tmp_path / "b.safetensors")


def test_file_without_description_names_the_remedy(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="does not describe its encoder: export it"):
        mim_plugins.load(tmp_path / "a.safetensors")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return exported(pretraining("large_windows"), tmp_path_factory.mktemp("small"))[1]


@pytest.fixture
def file(small, tmp_path):
    return change_copy(small, tmp_path / "a.safetensors")


def change_copy(source, target):
    target.write_bytes(source.read_bytes())
    return target


def setting(value, *path):
    def edit(content):
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return edit


DEEP = [[[[[[1]]]]]]
WRONG = {
    "later version": (setting(2, "version"), "has version 2.*upgrade"),
    "version of text": (setting("1", "version"), "not a positive integer"),
    "unknown entry": (setting(1, "hook"), "'hook' is unknown"),
    "other class": (setting("os.system", "backbone", "type"), "'os.system' is not one of Masked"),
    "list as type": (setting(["MaskedSwin"], "backbone", "type"), "is not one of"),
    "other scope": (setting("os", "backbone", "_scope_"), "_scope_"),
    "other files": (setting(dict(type="Pretrained"), "backbone", "init_cfg"), "init_cfg is not"),
    "unknown argument": (setting(1, "backbone", "widht"), "cannot be built .*widht"),
    "argument of other type": (setting("x", "backbone", "out_indices"), "cannot be built"),
    "huge image": (setting(2**40, "backbone", "img_size"), "too large"),
    "many blocks": (setting([1, 10**4, 1], "backbone", "arch", "depths"), "stages of blocks"),
    "many stages": (setting([1] * 20, "backbone", "arch", "depths"), "stages of blocks"),
    "deep nesting": (setting(DEEP, "backbone", "arch"), "too deep"),
    "large window": (setting(4096, "preprocessing", "size"), "is not .height, width."),
    "negative size": (setting([-1, 3], "preprocessing", "size"), "is not .height, width."),
    "true as a number": (setting(True, "preprocessing", "channels"), "not an integer"),
    "zero std": (setting([0.0, 1.0, 1.0], "preprocessing", "std"), "std must be above 0"),
    "two means": (setting([0.0, 1.0], "preprocessing", "mean"), "2 values for 3 channels"),
    "other library": (setting("exec", "preprocessing", "backend"), "not one of pillow, cv2"),
    "crop beyond edge": (setting([5, 5], "preprocessing", "resize"), "exceeds resize"),
    "gray as rgb": (setting("any", "preprocessing", "channel_order"), "does not fit 3"),
    "long text": (setting("x" * 5000, "source"), "not a line of text"),
    "control characters": (setting("a\nb\x1b[2J", "source"), "not a line of text"),
    "wrong digest": (setting("xyz", "source_sha256"), "not a SHA-256"),
    "wrong channels": (setting(1, "backbone", "in_channels"), "do not fit its description"),
    "other width": (setting(16, "backbone", "arch", "embed_dims"), "do not fit its description"),
    "other image size": (setting(96, "backbone", "img_size"), "do not fit its description"),
    "other window": (setting([7, 8, 4], "backbone", "window_size"), "do not fit its description"),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_changed_descriptions_are_refused(case, file):
    edit, message = WRONG[case]
    change(file, edit)
    with pytest.raises(CheckpointError, match=message) as caught:
        mim_plugins.load(file)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "NaN", '{"version": 1}', '{"a": 1, "a": 2}', "[" * 10**5),
        *(f'{{"version": {"9" * 5000}}}', " " * 2**21),
    ],
)
def test_text_that_is_no_description_is_refused(text, file):
    change(file, mim_plugins=text)
    with pytest.raises(CheckpointError, match=r"metadata of .* cannot be used"):
        mim_plugins.load(file)


def test_weights_of_another_encoder_are_refused(file):
    tensors = load_file(file)
    missing = {name: each for name, each in tensors.items() if "stages.1" not in name}
    change(file, tensors=missing)
    with pytest.raises(CheckpointError, match="do not fit its description"):
        mim_plugins.load(file)
    change(file, tensors=tensors | {"norm.weight": tensors["norm.weight"] * float("nan")})
    with pytest.raises(CheckpointError, match="NaN"):
        mim_plugins.load(file)


def test_too_large_encoder_is_refused_before_it_is_built(monkeypatch, file):
    monkeypatch.setattr("mim_plugins.apis.encoder._LARGEST", 1000)
    with pytest.raises(CheckpointError, match="GiB, more than"):
        mim_plugins.load(file)


def mutate(content, generator):
    """Replace one entry, at any depth, by another kind of value, or remove it."""
    node = content
    while True:
        key = generator.choice(sorted(node) if isinstance(node, dict) else range(len(node)))
        if isinstance(node[key], (dict, list)) and node[key] and generator.random() < 0.7:
            node = node[key]
            continue
        if isinstance(node, dict) and generator.random() < 0.2:
            del node[key]
        else:
            values = [None, True, -1, 0, 10**30, 1e308, 0.5, "", "x", [], {}, [[]], {"a": 1}, DEEP]
            node[key] = copy.deepcopy(generator.choice(values))
        return content


def test_mutations_cause_no_other_error(file):
    original = read_metadata(file)["mim_plugins"]
    tensors, generator, refusals = load_file(file), random.Random(0), []
    for _ in range(150):
        text = json.dumps(mutate(json.loads(original), generator))
        try:
            build_encoder(parse_description(text, "a"), tensors, "a")
        except CheckpointError as error:
            refusals.append(str(error))
    assert 75 < len(refusals) < 150
    assert not any("\n" in refusal for refusal in refusals)
