"""The container file installs what the documentation and the test script install."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def container():
    return (ROOT / "docker/Dockerfile").read_text()


def pinned(text, name):
    return set(re.findall(rf"(?<![-\w]){re.escape(name)}(?:\[.*?\])?==([\w.]+)", text))


@pytest.mark.parametrize("name", ["mmcv", "cuda-toolkit"])
def test_versions_are_those_of_the_compatibility_page(container, name):
    page = (ROOT / "docs/compatibility.md").read_text()
    versions = pinned(container, name)
    assert len(versions) == 1
    assert versions <= pinned(page, name)


def test_mmcv_is_the_one_that_the_tests_compile(container):
    script = (ROOT / "tools/run_tests.sh").read_text()
    assert pinned(container, "mmcv") == pinned(script, "mmcv")


def test_every_copied_path_exists(container):
    sources = re.findall(r"^COPY (\S+) \S+$", container, re.MULTILINE)
    assert sources
    assert all((ROOT / source).exists() for source in sources)


def test_toolkit_steps_are_those_of_the_page(container):
    page = (ROOT / "docs/compatibility.md").read_text()
    for line in (
        'ln -s lib "$CUDA_HOME/lib64"',
        'ln -s libcudart.so.13 "$CUDA_HOME/lib/libcudart.so"',
    ):
        assert line in page
        assert line in container
