"""Print what mim_plugins with all extras needs on another stack, as a requirements file.

onedl: the pinned forks and torch, the rest as setup.py has it. oldest: each lower bound of setup.py
as the version. newest: the newest release of everything that setup.py accepts, with mmcv-lite and
without what needs mmcv's operators, beside transformers 5. Reads the needs from the installed
mim_plugins.
"""

import argparse
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements"
NEED_OPERATORS = ("mmdet", "mmsegmentation")
# with both, mmpretrain takes its multimodal models in, which transformers 5 breaks
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
    """The requirements that hold with the extra ``all``."""
    needs = map(Requirement, lines)
    return [n for n in needs if n.marker is None or n.marker.evaluate({"extra": "all"})]


def onedl(needs: list[Requirement]) -> list[str]:
    """Those that no fork replaces, beside the forks and under the pins of the official stack."""
    others = [f"{n.name}{n.specifier}" for n in needs if not n.name.startswith("mm")]
    return [f"-c {REQUIREMENTS / 'base.txt'}", f"-r {REQUIREMENTS / 'onedl.txt'}", *others]


def oldest(needs: list[Requirement]) -> list[str]:
    """Each at its lower bound, or free where it has none."""
    pins = ["setuptools>=77,<80"]
    for need in needs:
        bounds = [s.version for s in need.specifier if s.operator == ">="]
        pins.append(f"{need.name}=={bounds[0]}" if bounds else need.name)
    return pins


def newest(needs: list[Requirement]) -> list[str]:
    """Return all but detection and segmentation, for pip to choose the newest of each."""
    kept = [f"{need.name}{need.specifier}" for need in needs if need.name not in NEED_OPERATORS]
    return ["setuptools>=77,<80", "mmcv-lite==2.1.0", *MULTIMODAL, *kept]


if __name__ == "__main__":
    main()
