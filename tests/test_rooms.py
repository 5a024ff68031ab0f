"""The folders of the package form floors: a module imports from its own folder or from below."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mim_plugins"
FLOORS = [
    {
        "compat",
        "errors",
        "file_names",
        "lazy",
        "paths",
        "randomness",
        "registry",
        "sampling",
        "version",
        "wording",
    },
    {"config", "layers", "masking", "transforms"},
    {"checkpoints", "data_preprocessors", "datasets", "decoders", "heads", "necks", "targets"},
    {"backbones"},
    {"algorithms"},
    {"evaluation", "visualization"},
    {"analysis", "apis"},
    {"engine"},
    {"checks"},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MODULES = [
    p for p in PACKAGE.rglob("*.py") if ".mim" not in p.parts and p != PACKAGE / "__init__.py"
]


def name_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path):
    """Yield the full names of the modules that a file imports, also within functions."""
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


def room(name):
    parts = name.split(".")
    return parts[1] if parts[0] == "mim_plugins" and len(parts) > 1 else None


def test_every_folder_and_module_has_a_floor():
    assert {room(name_of(path)) for path in MODULES} == set(FLOOR)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_imports_from_a_floor_above(path):
    own = room(name_of(path))
    used = {room(name) for name in imports(path)} - {None, own}
    assert {name for name in used if FLOOR.get(name, 0) > FLOOR[own]} == set()


def test_no_folders_import_each_other():
    graph = defaultdict(set)
    for path in MODULES:
        own = room(name_of(path))
        graph[own] |= {room(name) for name in imports(path)} - {None, own}

    def reaches(start, goal, seen):
        return any(
            then == goal or (then not in seen and reaches(then, goal, seen | {then}))
            for then in graph[start]
        )

    assert [name for name in graph if reaches(name, name, {name})] == []


def test_no_module_of_the_package_is_longer_than_250_lines():
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: length for name, length in lengths.items() if length > 250} == {}
