"""tools/analysis_tools/gpu_cost.py on a small encoder."""

from pathlib import Path

import pytest
from tool_runs import run_tool

ROOT = Path(__file__).parents[2]
TOOL = "analysis_tools/gpu_cost.py"


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "small.py"
    path.write_text(
        f"_base_ = {str(ROOT / 'configs/mrmae/vit_b_400e.py')!r}\n"
        "arch = dict(_delete_=True, depth=1, embed_dims=32, num_heads=2)\n"
        "model = dict(backbone=dict(arch=arch), decoder=dict(depth=1), mimics=None)\n"
    )
    return path


def test_the_report_lists_phases_memory_kernels_and_waits(config):
    text = run_tool(TOOL, config, "--batch", 4, "--operations", 2, "--graphs").stdout
    parts = ["forward", "backward", "optimizer", "MFU", "H200 ms", "GB kept", "cudnn_attention",
             "host waits per step: 0", "1 graphs, 0 recompiled"]  # fmt: skip
    for part in parts:
        assert part in text


def test_the_table_follows_the_rates(config):
    options = (config, "--batch", 4, "--table", "--gpus", "H200")
    plain = run_tool(TOOL, *options).stdout.splitlines()[-1]
    slow = run_tool(TOOL, *options, "--rates", "H200.launch=1.0").stdout.splitlines()[-1]
    assert plain.startswith("| small, 4 images, bfloat16 |")
    launches = int(slow.split("|")[3])
    assert float(slow.split("|")[2].split()[0]) >= 1e3 * launches > 1e3


def test_a_config_that_fails_gets_a_row_with_the_reason(config):
    done = run_tool(
        TOOL, "no_model", config, "--batch", 4, "--table", "--compile", "blocks", code=1
    )
    missing, eager, compiled = done.stdout.splitlines()[2:]
    assert missing.startswith("| no_model | not modeled: FileNotFoundError: 'no_model' is neither")
    assert eager.startswith("| small, 4 images, bfloat16 |")
    assert compiled.startswith("| small, 4 images, bfloat16, compiled by blocks |")
    assert int(compiled.split("|")[5]) < int(eager.split("|")[5])
    assert "1 of 2 configs not modeled: no_model: FileNotFoundError" in done.stderr


@pytest.mark.parametrize(
    "options",
    ["--rates H200.speed=1", "--rates V100.launch=1", "--rates H200.launch=fast",
     "--rates H200.launch=0", "--rates H200.launch=-1", "--rates H200.launch=nan", "--batch 0",
     "--batch -2", "--operations -3", "--operations 3 --table", "--plan 0",
     "--plan nan", "--plan 24 --table", "--plan 24 --compile blocks", "--memory-budget 0.5",
     "--memory-budget nan --compile blocks", "--memory-budget 2 --compile model"],
)  # fmt: skip
def test_wrong_options_exit_with_one_line(options):
    done = run_tool(TOOL, "mrmae/vit_b_400e", *options.split(), code=1)
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {options.split()[0]}")


def test_the_plan_lists_fitting_batches_and_hours(config):
    options = ("--batch", 64, "--gpus", "H100")
    plain = run_tool(TOOL, config, *options, "--table").stdout.splitlines()[-1]
    milliseconds, peak = float(plain.split("|")[2].split()[0]), float(plain.split("|")[-3])
    plan = run_tool(TOOL, config, "--plan", 0.001, peak, 80, *options).stdout.splitlines()[-1]
    cells = [cell.strip() for cell in plan.strip("|").split("|")]
    assert cells[0] == "small"
    assert cells[1] == "none"
    assert cells[3:5] == ["64", "64"]
    assert cells[2] == "32"  # a tenth of the memory is reserved
    hours = 100 * 1_281_167 / 64 * milliseconds / 3.6e6
    assert float(cells[5]) == pytest.approx(hours, abs=0.51 + 100 * 1_281_167 / 64 / 7.2e6)


def test_the_plan_of_a_detector_is_refused():
    pytest.importorskip("mmdet", exc_type=ImportError)
    name = "transfer/coco/mask_rcnn_mrmae_vit_b_25e"
    error = run_tool(TOOL, name, "--plan", 24, code=1).stderr
    assert f"--plan: of '{name}', only the backbone is modeled" in error


def test_a_linear_probe_is_modeled_without_its_graphs():
    options = ("--batch", 2, "--table", "--graphs", "--gpus", "H200")
    done = run_tool(TOOL, "mixmae/swin_b_linear_probe_90e", *options, code=1)
    assert "| swin_b_linear_probe_90e, 2 images, bfloat16 |" in done.stdout
    assert "--graphs is for pre-training with this package, not for ImageClas" in done.stderr
