"""tools/analysis_tools/knn.py as a user calls it, on tiny models and images."""

import pytest
import torch
from image_folders import write_colors
from tool_runs import TOOLS, run_tool

from mim_plugins.registry import MODELS

BACKBONE = dict(
    arch=dict(embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2)),
    img_size=64,
    window_size=4,
)

pytest.importorskip("mmpretrain", exc_type=ImportError)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Write images whose class is their color, and configs that read them."""
    folder = tmp_path_factory.mktemp("knn")
    write_colors(folder / "data", val=2)
    for name, base in (
        ("pretrain", "mixmae/swin_b_600e.py"),
        ("finetune", "mixmae/swin_b_finetune_100e.py"),
    ):
        (folder / f"{name}.py").write_text(
            f"_base_ = {str(TOOLS.parent / 'configs' / base)!r}\n"
            f"model = dict(backbone={dict(BACKBONE, arch=dict(BACKBONE['arch'], _delete_=True))})\n"
        )
    return folder


def knn(*arguments, code=0):
    options = ("--workers", 0, "--batch-size", 8, "--device", "cpu")
    return run_tool("analysis_tools/knn.py", *arguments, *options, code=code)


def table(result):
    rows = [line.split() for line in result.stdout.splitlines()]
    return {
        int(row[0]): (float(row[1]), float(row[2]))
        for row in rows
        if len(row) == 3 and row[0].isdigit()
    }


def test_a_checkpoint_is_evaluated_for_several_k(root, tmp_path):
    torch.manual_seed(0)
    backbone = MODELS.build(dict(type="mim_plugins.MaskedSwin", **BACKBONE))
    weights = {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}
    torch.save(dict(state_dict=weights | {"decoder.x": torch.zeros(1)}), tmp_path / "epoch_1.pth")

    arguments = ("--data-root", root / "data", "--k", 3, 1, 500)
    result = knn(root / "pretrain.py", tmp_path / "epoch_1.pth", *arguments)

    assert "18 references, 6 queries, 64 features" in result.stdout
    assert "k=500 is left out: the data set has only 18 reference images" in result.stdout
    assert list(table(result)) == [1, 3]
    # color separates the classes even for an untrained encoder
    assert all(top1 > 60 and top5 == 100 for top1, top5 in table(result).values())
    # --random initializes the same weights
    again = knn(root / "pretrain.py", "--random", *arguments)
    assert table(again) == table(result)
    assert "INFO" not in again.stdout + again.stderr  # no line per parameter from MMEngine


def test_a_classification_config_brings_its_own_data(root):
    config = root / "own_data.py"
    config.write_text(
        f"_base_ = {str(root / 'finetune.py')!r}\n"
        + "".join(
            f"{split}_dataloader = dict(dataset=dict(_delete_=True, type='CustomDataset',"
            f" data_prefix={split!r}, pipeline=_base_.{pipeline}_pipeline))\n"
            for split, pipeline in (("train", "train"), ("val", "test"))
        )
    )
    result = knn(config, "--random", "--data-root", root / "data", "--k", 3, "--max-references", 9)
    assert "9 references, 6 queries" in result.stdout
    assert list(table(result)) == [3]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--random", "--data-root", "nowhere"), 1, "no labeled images"),
        (("none.pth", "--data-root", "DATA"), 1, "none.pth"),
        (("--data-root", "DATA"), 2, "either a checkpoint or --random"),
        (("--random", "--data-root", "DATA", "--k", "0"), 1, "k=(0,)"),
        (("--random", "--data-root", "DATA", "--k", "50"), 1, "which is 18"),
    ],
)
def test_errors_exit_with_one_line(root, arguments, code, message):
    arguments = [root / "data" if part == "DATA" else part for part in arguments]
    assert message in knn(root / "pretrain.py", *arguments, code=code).stderr
