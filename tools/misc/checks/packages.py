"""Checks of Python and the packages: compatible versions that import."""

import importlib.util
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any, NamedTuple

from checks.needs import Need, needs

OK, WARN, FAIL = "OK", "WARN", "FAIL"
PYTHON = (3, 10)
# minor version of torch to that of its torchvision: 2.6 with 0.21, and one more with each
TORCHVISION_OFFSET = 15
MMCV = ("2.0.0", "2.2.0")
# the headers of this torch and newer need C++20, but mmcv builds with C++17
NO_MMCV_OPERATORS = (2, 14)
# mmpretrain's multimodal models do not import with this version or newer
TRANSFORMERS = (5,)
# forks under the same import names: distribution, lowest version, first version that is too new
FORKS = {
    "mmcv": ("onedl-mmcv", "2.3.6", "2.4"),
    "mmengine": ("onedl-mmengine", "0.10.12", "0.11"),
    "mmpretrain": ("onedl-mmpretrain", "1.3.6", "1.4"),
    "mmdet": ("onedl-mmdetection", "3.5.1", "3.6"),
    "mmsegmentation": ("onedl-mmsegmentation", "1.4.2", "1.5"),
}


class Result(NamedTuple):
    """Outcome of a check."""

    level: str
    text: str


def check_python() -> Iterator[Result]:
    version = sys.version_info
    level = OK if version[:2] >= PYTHON else FAIL
    fix = "" if level == OK else f"; needs {PYTHON[0]}.{PYTHON[1]} or newer: install a newer Python"
    yield Result(level, f"python {version[0]}.{version[1]}.{version[2]}{fix}")


def check_torch() -> Iterator[Result]:
    torch, vision = installed("torch"), installed("torchvision")
    if torch is None or numbers(torch) < (2, 6):
        yield Result(
            FAIL, f"torch {torch or 'is missing'}: pip install torch==2.11.0 torchvision==0.26.0"
        )
        return
    wanted = f"0.{numbers(torch)[1] + TORCHVISION_OFFSET}"
    if vision is None or numbers(vision)[:2] != numbers(wanted)[:2]:
        yield Result(
            FAIL,
            f"torch {torch} needs torchvision {wanted}.*, but"
            f" {vision or 'none'} is installed: pip install 'torchvision=={wanted}.*'",
        )
        return
    broken = import_error("torchvision")
    if broken:
        yield Result(FAIL, f"torch {torch}, torchvision {vision} do not import: {broken}")
    else:
        yield Result(OK, f"torch {torch} with torchvision {vision}")


def check_mmcv() -> Iterator[Result]:
    if has_fork("mmcv"):
        yield check_fork("mmcv", ["mmcv", "mmcv-lite"])
        broken = import_error("mmcv.ops")
        if broken:
            yield Result(WARN, f"{FORKS['mmcv'][0]} has no compiled operators ({broken})")
        return
    full, lite = installed("mmcv"), installed("mmcv-lite")
    version = full or lite
    if full and lite:
        yield Result(
            FAIL,
            "mmcv and mmcv-lite overwrite each other: pip uninstall -y mmcv mmcv-lite, then install"
            " one of them",
        )
    elif version is None:
        alternative = (
            f"; mmcv with operators, for detection and segmentation, needs torch older than"
            f" {'.'.join(map(str, NO_MMCV_OPERATORS))}"
            if numbers(installed("torch") or "0") >= NO_MMCV_OPERATORS
            else ", or mmcv==2.1.0 for detection and segmentation"
        )
        yield Result(FAIL, f"mmcv is missing: pip install mmcv-lite==2.1.0{alternative}")
    elif not in_range(version, *MMCV):
        level = FAIL if numbers(version) < numbers(MMCV[0]) else WARN
        yield Result(
            level,
            f"mmcv {version}: mmdet and mmsegmentation refuse {MMCV[1]} and newer, and"
            f" {MMCV[0]} is the oldest: pip install mmcv==2.1.0 (or mmcv-lite==2.1.0)",
        )
    elif full and numbers(installed("torch") or "0") >= NO_MMCV_OPERATORS:
        broken = import_error("mmcv.ops")
        yield Result(
            WARN if broken else OK,
            f"mmcv {full} does not compile with torch {installed('torch')}: for detection and"
            " segmentation, pip install torch==2.11.0 torchvision==0.26.0 and build mmcv again;"
            " otherwise replace it by pip install mmcv-lite==2.1.0"
            if broken
            else f"mmcv {full} with compiled operators",
        )
    elif lite:
        yield Result(
            OK, f"mmcv-lite {lite}: pre-training and classification, no detection or segmentation"
        )
    else:
        broken = import_error("mmcv.ops")
        yield (
            Result(
                WARN,
                f"mmcv {full} has no compiled operators ({broken}); for detection and segmentation:"
                " MMCV_WITH_OPS=1 pip install --no-build-isolation --force-reinstall --no-deps"
                " mmcv==2.1.0",
            )
            if broken
            else Result(OK, f"mmcv {full} with compiled operators")
        )


def has_fork(name: str) -> bool:
    """Return whether a fork of the package is installed."""
    return name in FORKS and installed(FORKS[name][0]) is not None


def check_fork(name: str, originals: list[str]) -> Result:
    """Check the version of an installed fork, and that no original package is installed with it."""
    fork, low, high = FORKS[name]
    version = installed(fork) or ""
    both = [original for original in originals if installed(original)]
    if both:
        return Result(
            FAIL,
            f"{fork} and {both[0]} overwrite each other: pip uninstall -y {fork} {both[0]}, then"
            " install one of them",
        )
    if not in_range(version, low, high):
        return Result(
            WARN, f"{fork} {version} is not >={low},<{high}: pip install '{fork}>={low},<{high}'"
        )
    return Result(OK, f"{fork} {version}, for {name}")


def check_packages() -> Iterator[Result]:
    """Compare the installed packages with the requirements of this one and of its extras."""
    found = needs()
    if not found:
        yield Result(
            WARN, "mim_plugins is not installed, so its packages are not checked: pip install -e ."
        )
    missing = []
    for need in found:
        version = installed(need.name)
        if has_fork(need.name):
            yield check_fork(need.name, [need.name])
        elif version is None and need.extra:
            missing.append(f"{need.name} [{need.extra}]")
        else:
            yield _check_need(need, version)
    if missing:
        yield Result(
            OK,
            f"not installed, only for the extra in brackets: {', '.join(missing)}; to install one:"
            " pip install -e '.[EXTRA]'",
        )
    if importlib.util.find_spec("pkg_resources") is None:
        yield Result(FAIL, "pkg_resources, which mmengine needs: pip install 'setuptools<80'")
    broken = installed("mmengine") and import_error("mmengine")
    if broken:
        yield Result(FAIL, f"mmengine does not import: {broken}")
    transformers = installed("transformers")
    if transformers and numbers(transformers) >= TRANSFORMERS and installed("pycocotools"):
        yield Result(
            WARN,
            f"transformers {transformers}: mmpretrain's multimodal models need an older one"
            " (pip install 'transformers<5') and are left out; nothing else changes",
        )
    if installed("numpy") and numbers(installed("numpy") or "0") >= (2,):
        broken = import_error("cv2")
        if broken:
            yield Result(FAIL, f"OpenCV does not import: {broken}: pip install -U opencv-python")


def _check_need(need: Need, version: str | None) -> Result:
    purpose = f", for [{need.extra}]" if need.extra else ""
    if version is not None and in_range(version, need.low or "0", need.high):
        return Result(OK, f"{need.name} {version}{purpose}")
    level = WARN if need.extra else FAIL
    fix = f"pip install '{need.name}{need.limits}'"
    return Result(level, f"{need.name} {version or 'is missing'}{purpose}: {fix}")


def installed(name: str) -> str | None:
    """Return the version of an installed distribution, None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: (2, 11, 0) for '2.11.0+cu128'."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else (0,)


def in_range(version: str, low: str, high: str | None) -> bool:
    """Return whether ``low`` <= ``version`` < ``high``."""
    return numbers(low) <= numbers(version) and (high is None or numbers(version) < numbers(high))


def try_import(name: str) -> Any:
    """Import a module, or return None if the import fails."""
    try:
        return importlib.import_module(name)
    except Exception:  # a broken package may raise any exception
        return None


def import_error(name: str) -> str:
    """Return one line with the error of importing a module, empty if it imports."""
    try:
        importlib.import_module(name)
    except Exception as error:  # a broken package may raise any exception
        return first_line(error)
    return ""


def first_line(error: Exception) -> str:
    """Return the first line of an error message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
