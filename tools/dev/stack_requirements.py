"""Print the requirements of mim_plugins with all extras on another stack.

onedl: the pinned forks and torch, otherwise the ranges of setup.py. oldest: the lower bounds of
setup.py as pins. newest: the newest releases within the ranges of setup.py, with mmcv-lite and
transformers 5 and without packages that need mmcv's operators. Reads the metadata of the installed
mim_plugins.
"""

import argparse
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
# their extras also limit torch to the versions that mmcv compiles with
NEED_OPERATORS = ("mmdet", "mmsegmentation")
# with both installed, mmpretrain imports its multimodal models, which fail with transformers 5
MULTIMODAL = ("pycocotools", "transformers>=5")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    stacks = dict(onedl=onedl, oldest=oldest, newest=newest)
    parser.add_argument("stack", choices=stacks)
    args = parser.parse_args()
    needs = all_needs(metadata.requires("mim_plugins") or [])
    print(*stacks[args.stack](needs), sep="\n")


def all_needs(lines: list[str]) -> list[Requirement]:
    """Return the requirements of the extra ``all`` and the basic ones."""
    needs = map(Requirement, lines)
    return [n for n in needs if n.marker is None or n.marker.evaluate({"extra": "all"})]


def onedl(needs: list[Requirement]) -> list[str]:
    """Return the forks, and the other requirements under the pins of the official stack."""
    others = [f"{n.name}{n.specifier}" for n in needs if not n.name.startswith("mm")]
    return [f"-c {REQUIREMENTS / 'base.txt'}", f"-r {REQUIREMENTS / 'onedl.txt'}", *others]


def oldest(needs: list[Requirement]) -> list[str]:
    """Pin each requirement at its lower bound, if it has one."""
    pins = ["setuptools>=77,<80"]
    for need in needs:
        bounds = [s.version for s in need.specifier if s.operator == ">="]
        pins.append(f"{need.name}=={bounds[0]}" if bounds else need.name)
    return pins


def newest(needs: list[Requirement]) -> list[str]:
    """Return all but detection and segmentation, for pip to choose the newest of each."""
    others = [
        f"{need.name}{need.specifier}"
        for need in needs
        if need.name not in NEED_OPERATORS and not (need.name == "torch" and need.marker)
    ]
    return ["setuptools>=77,<80", "mmcv-lite==2.1.0", *MULTIMODAL, *others]


if __name__ == "__main__":
    main()
