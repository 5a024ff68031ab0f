import importlib.util
import json
import sys

import pytest
from tool_runs import TOOLS, run_process, run_tool

FOLDER = TOOLS / "dev/benchmarks"
TINY = dict(
    mixmae=dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2]),
    mrmae=dict(embed_dims=32, depth=1, num_heads=2),
)
COMMON = ["--device", "cpu", "--repeats", 2, "--json"]


def benchmark(*arguments):
    return run_process(sys.executable, FOLDER / "scaling.py", *arguments)


@pytest.fixture(scope="module")
def scaling():
    """Import the tool as a module, with the modules next to it."""
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location("scaling", FOLDER / "scaling.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(FOLDER))
        for name in set(sys.modules) - before & {"common", "contestants", "train_step"}:
            del sys.modules[name]


@pytest.mark.parametrize("power", [0, 1, 1.5, 2])
def test_exponent_is_the_power(scaling, power):
    sizes = [2, 4, 16, 50]
    assert scaling.exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_one_size_has_no_exponent(scaling):
    assert scaling.exponent([2, 2], [1, 3]) is None
    assert scaling.slope([5], [1]) is None


def test_work_grows_linearly_with_the_batch_and_memory_with_it(tmp_path):
    file = tmp_path / "result.json"
    arch = json.dumps(TINY["mixmae"])
    result = benchmark(
        *("--sweeps", "batch", "--batches", 2, 8, "--img-size", 128, "--arch", arch),
        *("--archs", arch, *COMMON, file),
    )

    measured = json.loads(file.read_text())
    small, large = measured["batch"]["rows"]
    assert (small["batch"], large["batch"]) == (2, 8)
    assert large["gflops"] == 4 * small["gflops"]
    assert large["peak_memory_mib"] > small["peak_memory_mib"]
    assert measured["batch"]["peak_mib_per_image"] > 0
    assert measured["batch"]["exponents"]["gflops"] == pytest.approx(1)
    for row in (small, large):
        assert 0 < row["least_s"] <= row["step_s"] <= row["most_s"]
        assert row["images_per_s"] == pytest.approx(row["batch"] / row["step_s"])
    assert "exponents over batch: step" in result.stdout


def test_processes_share_gradients_and_have_a_batch_each(tmp_path):
    file = tmp_path / "result.json"
    arch = json.dumps(TINY["mrmae"])
    benchmark(
        *("--method", "mrmae", "--sweeps", "processes", "model", "--processes", 1, 2),
        *("--img-size", 64, "--arch", arch, "--archs", arch, "--teacher", "vit_tiny_patch16_224"),
        *COMMON, file,
    )  # fmt: skip

    measured = json.loads(file.read_text())
    single, two = measured["processes"]["rows"]
    assert (single["processes"], two["processes"]) == (1, 2)
    assert single["gflops"] == two["gflops"] == measured["model"]["rows"][0]["gflops"]
    assert two["images_per_s"] == pytest.approx(2 * measured["setup"]["batch"] / two["step_s"])
    assert "exponents" not in measured["processes"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--batches", 3], 2, "--batches: 3 must be even"),
        (["--processes", 0], 2, "--processes: 0 must be at least 1"),
        (["--img-sizes", 224, 256], 2, "use multiples of 224"),
        (["--arch", "medium"], 1, "arch='medium' is unknown"),
    ],
)
def test_invalid_arguments_exit_with_one_line(arguments, code, message):
    assert message in run_tool("dev/benchmarks/scaling.py", *arguments, code=code).stderr
