"""tools/dev/benchmarks/gpu_report.py in its small form, on the CPU."""

import json
import time

import pytest
from tool_runs import TOOLS, run_tool

TOOL = "dev/benchmarks/gpu_report.py"


@pytest.fixture
def modules(monkeypatch):
    """Search the folder of the tool for modules."""
    monkeypatch.syspath_prepend(str(TOOLS / "dev/benchmarks"))


def numbers(value):
    if isinstance(value, dict):
        return [number for entry in value.values() for number in numbers(entry)]
    if isinstance(value, list):
        return [number for entry in value for number in numbers(entry)]
    return [value] if isinstance(value, (int, float)) else []


def test_the_small_report_tests_measures_and_models(tmp_path):
    pytest.importorskip("mmpretrain", exc_type=ImportError)
    pytest.importorskip("timm")
    # the first section fails, which is reported, and the others run
    sections = ["cifar10", "suite", "steps", "loading"]
    output = run_tool(TOOL, "--small", "--out", tmp_path, "--sections", *sections).stdout
    assert "cifar10: 0 s; not run: --cifar10 is not given" in output
    report = json.loads((tmp_path / "report.json").read_text())
    assert list(report["sections"]) == sections
    assert [name for name in sections if "error" in report["sections"][name]] == ["cifar10"]
    files = report["sections"]["suite"]["files"]
    assert {"parity", "attention", "resume", "compile", "process_group"} <= set(files)
    assert [file for file, found in files.items() if found.get("failed") != {}] == []
    assert sum(len(found["passed"]) for found in files.values()) >= 8

    steps = report["sections"]["steps"]
    names = ["MixMAE", "mmpretrain's MixMIM", "MR-MAE", "mmpretrain's MAE"]
    assert [row["name"] for row in steps["measured"]] == names
    assert [row["name"] for row in steps["modeled"]] == names
    assert min(numbers([row["step_s"] for row in steps["measured"]])) > 0
    assert min(row["peak_bytes"] for row in steps["modeled"]) > 0
    assert report["sections"]["loading"]["images_per_s"] > 0

    page = (tmp_path / "report.md").read_text()
    for part in ("| torch | ", "| tests/gpu/test_parity.py | 4 | 0 | 0 |", "times mmpretrain's",
                 "Nothing in this table was measured", "| 1 | ours, fast |"):  # fmt: skip
        assert part in page


def test_a_job_ends_at_its_time_limit(modules, tmp_path):
    from gpu.job import Job, JobError

    job = Job(time.sleep, 60, log=tmp_path / "log")
    job.start()
    with pytest.raises(JobError, match="stopped after 0 s"):
        job.result(0.2)
    assert not job._process.is_alive()


def test_a_failed_job_reports_one_line_and_logs_the_rest(modules, tmp_path):
    from gpu.job import Job, JobError

    job = Job(json.loads, "no\nJSON", log=tmp_path / "log")
    job.start()
    with pytest.raises(JobError, match=r"^JSONDecodeError: Expecting value.*$"):
        job.result(60)
    assert "Traceback" in (tmp_path / "log").read_text()


def row(name, batch, peak, **changes):
    step = dict(median=0.1, min=0.1, max=0.1)
    fields = dict(peer="theirs", dtype="bfloat16", compiled=False, warmup_s=1.0, step_s=step)
    return dict(name=name, batch=batch, peak_bytes=peak, images_per_s=batch * 10) | fields | changes


def test_measured_and_modeled_memory_are_compared(modules):
    from gpu.step_tables import step_lines

    missing = dict(name="ours", peer="theirs", dtype="float32", compiled=False, batch=128)
    measured = [
        row("ours", 64, 10e9), row("ours", 128, 18e9), row("theirs", 128, 20e9, images_per_s=640),
        missing | dict(error="out of memory"),
    ]  # fmt: skip
    model = dict(name="ours", dtype="bfloat16", step_s=0.05, kept_bytes=1e9, launches=7)
    modeled = [model | dict(batch=64, peak_bytes=9e9), model | dict(batch=128, peak_bytes=16e9)]
    lines = step_lines(dict(measured=measured, modeled=modeled, gpu_of_model="H100"))
    assert "| ours | float32 | eager | 128 | out of memory |  |  |  |  |" in lines
    ours = next(line for line in lines if line.startswith("| ours | bfloat16 | eager | 128 "))
    assert "| 1280 | 2.00 | 18.00 |" in ours
    assert "| ours | bfloat16 | 128 | 18.00 | 16.00 | 1.12 |" in lines
    assert "| ours | bfloat16 | 125 | 109 |" in lines
    assert any("Modeled time of eager steps on H100" in line for line in lines)


def test_failed_and_skipped_tests_have_their_reason(modules, tmp_path):
    from gpu.suite import read_results

    file = tmp_path / "results.xml"
    file.write_text(
        '<testsuites><testsuite><testcase name="a"><properties><property name="kernels"'
        ' value="fmha | flash_fwd"/></properties></testcase><testcase name="b"><failure'
        ' message="assert 1 == 2&#10;more"/></testcase><testcase name="c"><skipped'
        ' message="only on a GPU"/></testcase></testsuite></testsuites>'
    )
    found = read_results(file)
    assert found["passed"] == ["a"]
    assert found["failed"] == {"b": "assert 1 == 2"}
    assert found["skipped"] == {"c": "only on a GPU"}
    assert found["kernels"] == {"a": ["fmha", "flash_fwd"]}


def test_finished_jobs_of_cifar10_are_reported(modules, tmp_path):
    from gpu.cifar10 import finished
    from gpu.page import page

    (tmp_path / "teacher_probe.done").write_text('{"wall": 12.3, "cpu": 1}')
    (tmp_path / "teacher_probe.json").write_text('{"0": {"knn": 80.0, "probe": {"1": 60.5}}}')
    (tmp_path / "calibration.json").write_text('{"calibrate_mae": 2.5}')
    section = dict(size="full", stopped="stopped after 9 s", **finished(tmp_path))
    machine = dict(device="GPU", hardware={}, versions={}, commit="c", changed_files=0, command="x")
    text = page(dict(machine=machine, small=False, sections=dict(cifar10=section)))
    for line in ("| teacher_probe | 12 |", "| mae | 2.50 |", "| teacher | 0 | 80.0 | 60.5 |"):
        assert line in text


def test_no_time_is_refused(tmp_path):
    error = run_tool(TOOL, "--out", tmp_path, "--minutes", 0, code=2).stderr
    assert "--minutes 0 must be positive" in error
