"""The folders of the package form floors: a module imports from its own folder or from below."""

import ast
import re
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mim_plugins"
FLOORS = [
    {
        "compat",
        "errors",
        "file_names",
        "lazy",
        "number_checks",
        "paths",
        "randomness",
        "registry",
        "sampling",
        "version",
        "wording",
    },
    {"archives", "config", "layers", "masking", "transforms"},
    {"checkpoints", "data_preprocessors", "datasets", "decoders", "heads", "necks", "targets"},
    {"backbones"},
    {"algorithms"},
    {"evaluation", "visualization"},
    {"analysis", "apis"},
    {"engine", "hubs"},
    {"checks"},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MODULES = [
    p for p in PACKAGE.rglob("*.py") if ".mim" not in p.parts and p != PACKAGE / "__init__.py"
]
LOADERS = ("import_module", "__import__", "find_spec")


def name_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path):
    """Yield the full names that a file imports, also within functions and by constant strings."""
    package = name_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(LOADERS) and node.args:
            name = getattr(node.args[0], "value", "")
            yield str(name) if not str(name).startswith(".") else ".".join(package) + str(name)


def room(name):
    """Return the folder or module below the package, or the package; None for other packages."""
    parts = name.split(".")
    return parts[min(1, len(parts) - 1)] if parts[0] == PACKAGE.name else None


def test_every_folder_and_module_has_a_floor():
    assert {room(name_of(path)) for path in MODULES} == set(FLOOR)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_imports_from_a_floor_above(path):
    own = room(name_of(path))
    used = {room(name) for name in imports(path)} - {None, own}
    assert {name for name in used if FLOOR.get(name, len(FLOORS)) > FLOOR[own]} == set()


def test_no_folders_import_each_other():
    graph = defaultdict(set)
    for path in MODULES:
        own = room(name_of(path))
        graph[own] |= {room(name) for name in imports(path)} - {None, own}

    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_no_modules_import_each_other():
    names = {name_of(path) for path in MODULES}
    graph = defaultdict(set)
    for path in MODULES:
        for name in imports(path):
            while name and name not in names:
                name = name.rpartition(".")[0]
            graph[name_of(path)] |= {name} - {"", name_of(path)}

    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_no_module_of_package_and_tools_is_longer_than_250_lines():
    files = [*MODULES, *(PACKAGE.parent / "tools").rglob("*.py")]
    lengths = {path: len(path.read_text().splitlines()) for path in files}
    assert {path: length for path, length in lengths.items() if length > 250} == {}


def test_names_of_tests_have_at_most_60_characters():
    texts = [path.read_text() for path in Path(__file__).parent.rglob("test_*.py")]
    names = [name for text in texts for name in re.findall(r"^ *def (test_\w+)", text, re.M)]
    assert [name for name in names if len(name) > 60] == []
