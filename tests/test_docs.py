"""README.md and docs/: the links, anchors, files and messages in them exist.

No network: addresses of other hosts are not opened. See test_docs_site.py for the built site.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("api/*.md"))]
FENCE = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
TROUBLES = DOCS / "troubleshooting.md"
# quoted messages of Python, PyTorch, MMEngine, mmcv, mmpretrain and NumPy
FOREIGN = {
    "NoneType takes no arguments",
    "No module named 'mim_plugins'",
    "No module named 'mmcv'",
    "No module named 'mmcv._ext'",
    "No module named 'mmdet'",
    "No module named 'mmengine'",
    "No module named 'mmseg'",
    "No module named 'pkg_resources'",
    "No module named 'torch'",
    "\"...\" not implemented for 'BFloat16'",
    "A module that was compiled using NumPy 1.x cannot be run in NumPy 2",
    "CUDA out of memory",
    "Expected to have finished reduction in the prior iteration",
    "MMCV==... is used but incompatible",
    "MaskedSwin is not in the ...::model registry",
    "SyncBatchNorm layers only work with GPU modules",
    "The model and loaded state dict do not match exactly",
    "The number of subfolders (...) doesn't match the number of specified classes (1000)",
    "Too many open files",
    "Watchdog caught collective operation timeout",
    "Weights only load failed",
    "address already in use",
    "in child config cannot inherit from base because",
    "mim_plugin.MaskedSwin is not in the ...::model registry",
    "operator torchvision::nms does not exist",
    "unable to open shared memory object",
}
# configs that the reader of docs/extending.md writes
NOT_OURS = {
    "configs/mixmae/convnet_300e.py",
    "configs/mixmae/swin_b_rectangles_600e.py",
    "configs/mrmae/stem_vit_b_400e.py",
    "configs/mrmae/vit_b_resnet_400e.py",
}


def names(pages):
    return [page.name for page in pages]


def prose(page):
    """Return a page without its code blocks."""
    return FENCE.sub("", page.read_text())


def anchors(page):
    """Return the anchors of all headings, which are the same on GitHub and in Sphinx."""
    headings = re.findall(r"^#+ +(.*)$", prose(page), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in plain)
    return {re.sub(r"[\s\-]+", "-", heading.strip()) for heading in kept}


def broken_links(page):
    """Return the relative links of a page without a target."""
    broken = []
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        lost = anchor and file.suffix == ".md" and file.is_file() and anchor not in anchors(file)
        if not file.exists() or lost:
            broken.append(target)
    return broken


def named_files(page):
    """Return the files of this project named on a page, with shell patterns unexpanded."""
    text = page.read_text()
    found = set(
        re.findall(r"(?<![\w/.-])(?:configs|tools|tests|docs|mim_plugins)/[\w./*{},-]+", text)
    )
    found |= {
        f"configs/{name}"
        for name in re.findall(
            r"`((?:mixmae|mrmae|transfer|baselines|quickstart)/[^`\s]+\.py)`", text
        )
    }
    return {name.rstrip(".,-") for name in found} - NOT_OURS


def expand(name):
    """Expand ``a_{b,c}.py`` to ``a_b.py`` and ``a_c.py``."""
    braces = re.search(r"\{([^{}]*)\}", name)
    if not braces:
        return [name]
    start, end = braces.span()
    choices = braces[1].split(",")
    return [done for each in choices for done in expand(name[:start] + each + name[end:])]


@cache
def templates():
    """Return all strings of the package and its tools, with {} for the fields of f-strings."""
    strings = set()
    for folder in ("mim_plugins", "tools"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.JoinedStr):
                    parts = (getattr(part, "value", None) for part in node.values)
                    strings.add("".join(p if isinstance(p, str) else "{}" for p in parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    strings.add(node.value)
    return strings


def is_ours(message):
    """Return True if one of our strings contains the message; '...' matches any values."""
    pattern = re.compile(r".*?".join(map(re.escape, message.split("..."))), re.DOTALL)
    return any(pattern.search(each) for each in templates())


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_relative_links_and_anchors_resolve(page):
    assert broken_links(page) == []


def test_checker_finds_broken_links(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One `two`\n[a](#one-two) [b](#three) [c](page.md#one-two) [d](none.md) [e](https://x.y/z)\n"
        "```\n# no heading\n[f](code.md)\n```\n[g](page.md#no-heading)\n"
    )

    assert broken_links(page) == ["#three", "none.md", "page.md#no-heading"]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_files_that_a_page_names_exist(page):
    missing = [
        name
        for given in sorted(named_files(page))
        for name in expand(given)
        if not (any(ROOT.glob(name)) if "*" in name else (ROOT / name).exists())
    ]

    assert missing == []


def test_every_recipe_is_in_the_model_zoo_or_transfer():
    text = (DOCS / "model_zoo.md").read_text() + (DOCS / "transfer.md").read_text()
    variants = re.compile(r"_base_|quickstart|_whole\.py$")

    missing = [
        name
        for file in sorted((ROOT / "configs").rglob("*.py"))
        if not variants.search(name := file.relative_to(ROOT / "configs").as_posix())
        and f"`{name}`" not in text
    ]

    assert missing == []


def test_published_and_own_results_have_columns_of_their_own():
    results, _ = (DOCS / "model_zoo.md").read_text().split("## Settings")
    rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in results.splitlines()
        if line.startswith("|")
    ]
    headers = [row for row in rows if any("published" in cell for cell in row)]

    assert headers
    assert all(row[-1] == "own" for row in headers)
    assert all(row[-1] == "not run" for row in rows if row not in headers and "---" not in row)


def test_every_page_is_in_the_navigation():
    for folder in (DOCS, DOCS / "api"):
        trees = re.findall(r"```{toctree}\n(.*?)```", (folder / "index.md").read_text(), re.DOTALL)
        entries = re.findall(r"^(?:.*<)?([\w/]+)>?$", "\n".join(trees), re.MULTILINE)
        listed = {f"{entry}.md" for entry in entries if "/" not in entry}

        assert listed == set(names(folder.glob("*.md"))) - {"index.md"}


def test_messages_in_troubleshooting_are_real():
    """Each is a string of this package, or a known message of another one."""
    quoted = re.findall(r"^\| `([^`|]+)`(?=[ ,|(])", TROUBLES.read_text(), re.MULTILINE)

    strange = [each for each in quoted if not is_ours(each) and each not in FOREIGN]

    assert len(quoted) > 30
    assert strange == []
    assert not is_ours("a message that nobody wrote")
