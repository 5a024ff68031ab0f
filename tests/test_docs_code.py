"""Code in README.md and docs/: names, configs, commands. See test_extending.py for that page."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from image_folders import write_images
from mmengine.config import Config

import mim_plugins
from mim_plugins import registry
from mim_plugins.cli.main import build_parser

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, *sorted(DOCS.glob("*.md"))]
REGISTRIES = [each for each in vars(registry).values() if isinstance(each, registry.Registry)]


def blocks(page, language):
    """Return the code blocks of a page."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def python_blocks():
    """Return page, number and code of every Python block."""
    return [(p.name, i, code) for p in PAGES for i, code in enumerate(blocks(p, "python"))]


def config_blocks():
    """Yield the Python blocks that inherit from one of our configs."""
    for page, number, code in python_blocks():
        code = re.sub(r"^# \S+\.py\n", "", code)
        if re.match(r'_base_ = "\w+\.py"', code):
            yield page, number, code


def commands(page):
    """Yield the tools in the commands of a page, each with its options."""
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            tool = re.search(r"(?<!\S)tools/([\w/]+\.(?:py|sh))", line)
            if tool:
                yield tool[1], re.findall(r"(?<=\s)(--[a-z][a-z-]+)", line[tool.end() :])


def is_forward(file):
    return "runpy" in file.read_text()


def tool_source(tool):
    """Return the source code that defines a tool's options."""
    worker = re.sub(r"^(dist|slurm)_(\w+)\.sh$", r"\2.py", tool)
    files = [min((ROOT / "tools").glob(f"**/{Path(worker).name}"), key=is_forward)]
    if worker in ("train.py", "test.py"):
        files.append(ROOT / "mim_plugins/cli/run_arguments.py")
    source = "".join(file.read_text() for file in files)
    for command in re.findall(r"^from mim_plugins.cli.commands import (\w+)", source, re.M):
        source += (ROOT / f"mim_plugins/cli/commands/{command}.py").read_text()
    for module in re.findall(r"^ *(?:from|import) (\w+)", source, re.M):
        beside = files[0].with_name(f"{module}.py")
        if beside.is_file() and "add_argument" in beside.read_text():
            source += beside.read_text()
    for name in ("config_options", "device_option", "sizes"):  # options that several tools share
        if f"add_{name.removesuffix('s')}" in source:
            source += (ROOT / f"mim_plugins/cli/{name}.py").read_text()
    return source


def names_of_experiments():
    """Return the names that tools/dev/experiments registers, read from its source code."""
    pattern = r"^@[A-Z_]+\.register_module\(\)\nclass (\w+)"
    files = (ROOT / "tools/dev/experiments").rglob("*.py")
    return {name for file in files for name in re.findall(pattern, file.read_text(), re.M)}


def test_names_of_the_package_in_configs_are_registered():
    registered = {name for registry in REGISTRIES for name in registry.module_dict}
    registered |= names_of_experiments()

    unknown = {
        (page.name, name)
        for page in PAGES
        for name in re.findall(r"[\"'=]mim_plugins\.([A-Z]\w+)", page.read_text())
        if name not in registered and page.name != "extending.md"
    }

    assert unknown == set()


@pytest.mark.parametrize(("page", "number", "code"), python_blocks())
def test_python_code_compiles(page, number, code):
    compile(code, f"{page}, block {number}", "exec")


@pytest.mark.parametrize(("page", "number", "code"), list(config_blocks()))
def test_configs_of_the_pages_read(page, number, code, tmp_path):
    """Each block is written next to the config that it inherits from."""
    (base,) = re.findall(r'^_base_ = "(\w+\.py)"', code)
    (folder,) = (file.parent.name for file in (ROOT / "configs").glob(f"m*/{base}"))
    for name in ("_base_", "mixmae", "mrmae"):
        shutil.copytree(ROOT / "configs" / name, tmp_path / name)
    file = tmp_path / folder / f"block_{number}.py"
    file.write_text(re.sub(r"^custom_imports.*$", "", code, flags=re.MULTILINE))

    cfg = Config.fromfile(file)

    before = Config.fromfile(ROOT / "configs" / folder / base)
    assert cfg.pretty_text != before.pretty_text
    assert cfg.model.type == before.model.type


def test_commands_of_the_console_script_parse():
    found = [
        (page.name, line.partition("#")[0])
        for page in PAGES
        for block in blocks(page, "bash")
        for line in block.splitlines()
        if line.startswith("mim-plugins ")
    ]
    assert len(found) >= 3
    for page, line in found:
        try:
            build_parser().parse_args(shlex.split(line)[1:])
        except SystemExit:
            pytest.fail(f"{page}: {line}")


def test_config_for_own_classes_is_complete(tmp_path):
    (code,) = (
        code for page, _, code in config_blocks() if page == "transfer.md" and "flowers" in code
    )
    for name in ("_base_", "mixmae"):
        shutil.copytree(ROOT / "configs" / name, tmp_path / name)
    (tmp_path / "mixmae/flowers.py").write_text(code)

    cfg = Config.fromfile(tmp_path / "mixmae/flowers.py")

    assert cfg.model.head.num_classes == cfg.data_preprocessor.num_classes == 4
    assert cfg.data_preprocessor.mean == [123.675, 116.28, 103.53]
    for loader, part in ((cfg.train_dataloader, "train"), (cfg.val_dataloader, "val")):
        assert loader.dataset.type == "mim_plugins.LabeledImageFolder"
        assert loader.dataset.data_prefix == part
        assert loader.dataset.pipeline[-1].type == "PackInputs"


def test_options_of_commands_exist():
    unknown = [
        (page.name, tool, option)
        for page in PAGES
        for tool, options in commands(page)
        for option in options
        if option not in tool_source(tool)
    ]

    assert unknown == []
    assert "--nonsense" not in tool_source("dist_train.sh")


def test_readme_example_prints_what_it_shows(tmp_path, monkeypatch, capsys):
    """Random weights and few blocks do not change the shapes."""
    (code,) = blocks(README, "python")
    shown = re.findall(r"^# (.*)$", code, re.MULTILINE)
    shallow = dict(
        _delete_=True, embed_dims=(128, 256, 512, 1024), depths=(1,) * 4, num_heads=(4, 8, 16, 32)
    )
    options = {"model.backbone.arch": shallow, "model.decoder.depth": 1}
    get_model = mim_plugins.get_model
    monkeypatch.setattr(
        mim_plugins, "get_model", lambda name, checkpoint: get_model(name, cfg_options=options)
    )
    monkeypatch.chdir(tmp_path)
    for file, size in (("a.jpg", (300, 200)), ("b.png", (240, 320))):
        write_images(tmp_path, 1, size, file[2:]).joinpath(f"00.{file[2:]}").rename(file)

    exec(compile(code, "README.md", "exec"), {})

    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if "no checkpoint" not in line] == shown
