"""tools/dev/stack_requirements.py and the choice of a stack in tools/run_tests.sh."""

import runpy
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tool_runs import TOOLS, run_process, run_tool

NEEDS = [
    "mmengine<0.11,>=0.10.7",
    "torch>=2.6",
    "ftfy; extra == 'seg'",
    "torch<2.14; extra == 'all'",
    "mmdet<3.4,>=3.3.0; extra == 'all'",
    "timm<2,>=1.0.31; extra == 'all'",
    "regex; extra == 'all'",
]


@pytest.fixture
def requirements(monkeypatch):
    """Return the lines that the tool prints for a stack."""
    monkeypatch.setattr("importlib.metadata.requires", lambda name: NEEDS)
    return lambda stack: run_tool("dev/stack_requirements.py", stack).stdout.splitlines()


def test_oldest_pins_each_lower_bound(requirements):
    needs = requirements("oldest")
    assert {"mmengine==0.10.7", "torch==2.6", "mmdet==3.3.0", "timm==1.0.31", "regex"} < set(needs)
    assert not any(need.startswith("ftfy") for need in needs)


def test_forks_replace_every_package_of_openmmlab(requirements):
    needs = requirements("onedl")
    assert not any(need.startswith("mm") for need in needs)
    assert {"torch>=2.6", "timm<2,>=1.0.31", "regex"} < set(needs)
    files = [Path(need.split()[1]) for need in needs if need.startswith("-")]
    assert all(file.is_file() for file in files)
    pins = "".join(file.read_text() for file in files)
    assert "\nonedl-mmengine==" in pins
    assert "\ntorch==" in pins


def test_newest_omits_packages_that_need_operators(requirements):
    needs = requirements("newest")
    assert {"torch>=2.6", "timm<2,>=1.0.31", "regex", "transformers>=5"} < set(needs)
    assert "torch<2.14" not in needs
    assert "mmcv-lite==2.1.0" in needs
    assert not any(need.startswith(("mmdet", "mmseg")) for need in needs)


def test_the_packages_of_the_gpu_report_fit_this_one(monkeypatch):
    lines = (TOOLS.parent / "requirements/gpu_report.txt").read_text().splitlines()
    pins = {}
    for line in lines:
        if not line.startswith("#"):
            name, _, version = line.partition("==")
            pins[canonicalize_name(name)] = version
    wanted = {}
    monkeypatch.setattr("setuptools.setup", lambda **options: wanted.update(options))
    runpy.run_path(str(TOOLS.parent / "setup.py"))
    extras = wanted["extras_require"]
    needs = map(Requirement, [*wanted["install_requires"], *extras["targets"], *extras["fast"]])
    own = {canonicalize_name(need.name): need.specifier for need in needs}
    checked = set(own) & set(pins)
    assert checked == {"mmengine", "mmpretrain", "open-clip-torch", "simplejpeg"}
    assert [name for name in checked if pins[name] not in own[name]] == []


@pytest.mark.parametrize(
    "options", [["--stack", "latest"], ["--stack=latest"], ["-k", "x", "--stack"]]
)
def test_unknown_stack_exits_with_the_allowed_ones(options):
    result = run_process("bash", TOOLS / "run_tests.sh", *options, code=2)
    assert result.stdout == ""
    given = "latest" if "latest" in options[-1] else ""
    allowed = "official, onedl, oldest and newest"
    assert result.stderr == f"error: --stack is '{given}'; allowed are {allowed}\n"


@pytest.mark.parametrize("script", ["run_tests.sh", "quickstart.sh"])
def test_help_explains_and_starts_nothing(script):
    result = run_process("bash", TOOLS / script, "--help")
    chooses = {"run_tests.sh": "the", "quickstart.sh": "its"}[script]
    assert f"PYTHON chooses {chooses} interpreter" in result.stdout
    assert "set -e" not in result.stdout
    assert "installing" not in result.stdout
