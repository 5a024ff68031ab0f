"""The ADE20K configs train and infer when made small."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from config_files import load_config
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from PIL import Image
from tiny_segmentors import TINY

from mim_plugins.cli import resolve_precision, run_config

pytest.importorskip("mmcv.ops", exc_type=ImportError, reason="needs mmcv with compiled operations")
mmseg = pytest.importorskip("mmseg", exc_type=ImportError)
SegTTAModel = pytest.importorskip("mmseg.models", exc_type=ImportError).SegTTAModel

ROOT = Path(__file__).parents[1] / "configs/transfer/ade20k"
TEST_TOOL = Path(__file__).parents[1] / "tools/test.py"
CONFIGS = sorted(file.stem for file in ROOT.glob("*.py"))
STOCK = Path(mmseg.__file__).parent / ".mim/configs/upernet/upernet_r50_4xb4-160k_ade20k-512x512.py"
SIDE = (64, 64)


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope("mmseg"):
        yield


@pytest.fixture
def data_root(tmp_path):
    """Write images in ADE20K's layout: class 1 left, class 2 right, nothing labeled at the top."""
    root = tmp_path / "ade"
    rng = np.random.default_rng(0)
    for split in ("training", "validation"):
        images, labels = root / "images" / split, root / "annotations" / split
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for index in range(2):
            label = np.ones((70, 90), np.uint8)
            label[:, 45:] = 2
            label[:4] = 0
            image = rng.integers(0, 60, (70, 90, 3), np.uint8) + 90 * label[..., None]
            Image.fromarray(image).save(images / f"{index}.jpg")
            Image.fromarray(label).save(labels / f"{index}.png")
    return root


def fit(cfg, data_root, work_dir, **changes):
    """Return ``cfg`` with small images, narrow heads and two iterations."""
    run_config.apply_data_root(cfg, str(data_root))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.pipeline[2].scale = (256, 64)
    cfg.train_dataloader.dataset.pipeline[3].crop_size = SIDE
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.pipeline[1].scale = (256, 70)
    cfg.merge_from_dict(
        {
            "work_dir": str(work_dir),
            "model.data_preprocessor.size": SIDE,
            "model.decode_head.channels": 8,
            "model.auxiliary_head.channels": 8,
            "train_cfg.max_iters": 2,
            "train_cfg.val_interval": 2,
            **changes,
        }
    )
    return cfg


def tiny(name, data_root, work_dir, **changes):
    cfg = fit(load_config(f"transfer/ade20k/{name}.py"), data_root, work_dir, **TINY[name])
    cfg.merge_from_dict(
        {
            "model.backbone.init_cfg": None,
            "model.test_cfg.crop_size": SIDE,
            "model.test_cfg.stride": (42, 42),
            **changes,
        }
    )
    resolve_precision(cfg)
    run_config.trim_schedule(cfg)
    return cfg


@pytest.mark.parametrize("name", CONFIGS)
def test_header_states_paper_result_cost_and_command(name):
    header = (ROOT / f"{name}.py").read_text().split('"""')[1]
    assert all(word in header for word in ("Paper:", "Result:", "Cost:", "Command:"))


def test_whole_inference_needs_one_pass_and_sliding_several(monkeypatch):
    seen = {}
    for name in ("upernet_mixmae_swin_b_160k", "upernet_mixmae_swin_b_160k_whole"):
        cfg = load_config(f"transfer/ade20k/{name}.py")
        with torch.device("meta"):
            model = MODELS.build(cfg.model)
        calls = seen[cfg.model.test_cfg.mode] = []

        def encode(inputs, metas, calls=calls):
            calls.append(tuple(inputs.shape[-2:]))
            return inputs.new_zeros(len(inputs), 150, *inputs.shape[-2:])

        monkeypatch.setattr(model, "encode_decode", encode)
        model.inference(torch.zeros(1, 3, 512, 683), [dict(ori_shape=(512, 683))])
    assert seen == dict(slide=[(512, 512)] * 2, whole=[(512, 683)])


@pytest.mark.parametrize("name", TINY)
def test_trains_evaluates_and_resumes_from_its_checkpoint(name, data_root, tmp_path):
    cfg = tiny(name, data_root, tmp_path / "run")
    runner = Runner.from_cfg(cfg)
    before = runner.model.backbone.blocks[0] if "swin" not in name else runner.model.backbone.stages
    before = {key: value.clone() for key, value in before.state_dict().items()}
    runner.train()
    assert runner.iter == 2
    after = runner.model.backbone.state_dict()
    assert any(
        not torch.equal(value, after[full])
        for key, value in before.items()
        for full in after
        if full.endswith("." + key)
    )
    assert (tmp_path / "run/last_checkpoint").read_text().endswith("iter_2.pth")
    tested = tiny(name, data_root, tmp_path / "test", load_from=str(tmp_path / "run/iter_2.pth"))
    metrics = Runner.from_cfg(tested).test()
    assert metrics["mIoU"] == runner.message_hub.get_scalar("val/mIoU").current()


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("mode", ["slide", "whole"])
def test_multi_scale_inference_averages_the_probabilities(name, mode, data_root, tmp_path):
    cfg = tiny(name, data_root, tmp_path, **{"model.test_cfg.mode": mode})
    dataset = cfg.test_dataloader.dataset
    dataset.pipeline = cfg.tta_pipeline
    runner = Runner.from_cfg(cfg)
    augmented = MODELS.build(dict(**cfg.tta_model, module=cfg.model)).eval()
    batch = next(iter(runner.test_dataloader))
    assert len(batch["inputs"]) == 12  # six scales, flipped and not
    samples = [
        augmented.module.test_step({key: values[i] for key, values in batch.items()})[0]
        for i in range(12)
    ]
    mean = torch.stack([sample.seg_logits.data.softmax(0) for sample in samples]).mean(0)
    (merged,) = augmented.test_step(batch)
    agreement = merged.pred_sem_seg.data == mean.argmax(0)
    assert agreement.float().mean() > 0.999  # ties aside
    assert merged.gt_sem_seg.data.unique().tolist() == [0, 1, 255]


def test_tool_averages_over_scales_on_request(data_root, tmp_path, monkeypatch):
    cfg = tiny("upernet_mixmae_swin_b_160k", data_root, tmp_path / "run")
    runner = Runner.from_cfg(cfg)
    runner.train()
    cfg.dump(str(tmp_path / "small.py"))
    checkpoint = str(tmp_path / "run/iter_2.pth")
    merge, views = SegTTAModel.merge_preds, []

    def counted(self, samples):
        views.append([len(of_one_image) for of_one_image in samples])
        return merge(self, samples)

    monkeypatch.setattr(SegTTAModel, "merge_preds", counted)
    for extra, expected in (([], []), (["--tta"], [[12], [12]])):
        out = tmp_path / f"metrics{len(extra)}.json"
        arguments = ["test.py", str(tmp_path / "small.py"), checkpoint, "--out", str(out), *extra]
        monkeypatch.setattr("sys.argv", [*arguments, "--work-dir", str(tmp_path / "test")])
        runpy.run_path(str(TEST_TOOL), run_name="__main__")
        assert views == expected  # per image, six scales, flipped and not
    plain = json.loads((tmp_path / "metrics0.json").read_text())
    assert plain["mIoU"] == runner.message_hub.get_scalar("val/mIoU").current()
    assert json.loads((tmp_path / "metrics1.json").read_text()).keys() == plain.keys()


def test_tool_refuses_scales_that_the_config_has_not(data_root, tmp_path, monkeypatch):
    cfg = tiny("upernet_mixmae_swin_b_160k", data_root, tmp_path / "run")
    cfg.pop("tta_pipeline")
    cfg.dump(str(tmp_path / "small.py"))
    (tmp_path / "any.pth").touch()
    monkeypatch.setattr(
        "sys.argv", ["test.py", str(tmp_path / "small.py"), str(tmp_path / "any.pth"), "--tta"]
    )
    with pytest.raises(SystemExit, match="tta_pipeline"):
        runpy.run_path(str(TEST_TOOL), run_name="__main__")


def test_stock_mmseg_config_trains_our_backbone(data_root, tmp_path):
    # only the backbone and the widths of what reads it; no custom_imports, no change to mmseg
    cfg = fit(Config.fromfile(STOCK), data_root, tmp_path)
    cfg.merge_from_dict(
        {
            "model.pretrained": None,
            "model.backbone": dict(
                _delete_=True,
                type="mim_plugins.MaskedSwin",
                arch=dict(embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2)),
                out_indices=(0, 1, 2, 3),
            ),
            "model.decode_head.in_channels": [8, 16, 32, 64],
            "model.auxiliary_head.in_channels": 32,
        }
    )
    runner = Runner.from_cfg(cfg)
    start = runner.model.backbone.patch_embed.proj.weight.detach().clone()
    runner.train()
    assert not torch.equal(start, runner.model.backbone.patch_embed.proj.weight)
    assert runner.message_hub.get_scalar("val/mIoU").current() >= 0
