"""Commands that write a file refuse the same places, before any work, in one line."""

import os

import pytest
from tool_runs import run_tool

from mim_plugins.cli import encoder_file, feature_file, reconstruction_picture
from mim_plugins.cli.main import main
from mim_plugins.cli.output_place import prepare_output
from mim_plugins.errors import ConfigError

# words before the output, and its suffix
COMMANDS = dict(
    embed=(["embed", "c.py", "{input}", "a.jpg", "--out"], ".npz"),
    embed_images=(["embed", "c.py", "w.pth", "a.jpg", "{input}", "--out"], ".parquet"),
    reconstruct=(["reconstruct", "c.py", "{input}", "a.jpg", "--out"], ".png"),
    reconstruct_images=(["reconstruct", "c.py", "w.pth", "a.jpg", "{input}", "--out"], ".png"),
    export=(["export", "{input}"], ".safetensors"),
    export_torch=(["export", "--format", "torch", "{input}"], ".pth"),
    export_config=(["export", "a.pth", "--config", "{input}"], ".safetensors"),
    onnx=(["export", "--format", "onnx", "{input}"], ".onnx"),
)
TOOLS = {
    "model_converters/export_onnx.py": (["c.py", "{input}"], ".onnx"),
    "model_converters/convert_checkpoint.py": (["{input}"], ".pth"),
}
FAULTS = dict(
    file="'{out}' exists already: give another file, or overwrite it with --force",
    broken_link="'{out}' exists already",
    input="'{out}' is read by this command: give another file",
    link_to_input="'{out}' is read by this command: give another file",
    folder="cannot write '{out}' (it is a folder): give another file",
    pipe="cannot write '{out}' (it is a pipe or device): give another file",
    below_a_file="cannot write '{out}' (",
    long_name="cannot write '{out}' (File name too long): give another file",
    read_only="cannot write '{out}' (its folder is read-only): give another file",
)
IS_FORCED = {fault: fault not in ("file", "broken_link") for fault in FAULTS}


def make(fault, folder, suffix, monkeypatch):
    """Prepare a fault, and return the input and the output."""
    source, out = folder / f"input{suffix}", folder / f"out{suffix}"
    source.write_text("input")
    if fault == "file":
        out.write_text("kept")
    elif fault == "broken_link":
        out.symlink_to("gone")
    elif fault == "input":
        out = source
    elif fault == "link_to_input":
        out.symlink_to(source)
    elif fault == "folder":
        out.mkdir()
    elif fault == "pipe":
        os.mkfifo(out)
    elif fault == "below_a_file":
        out = source / f"new/out{suffix}"
    elif fault == "long_name":
        out = folder / ("n" * 300) / f"out{suffix}"
    else:
        monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    return source, out


@pytest.fixture
def calls(monkeypatch):
    calls = []
    monkeypatch.setattr(feature_file, "write_features", calls.append)
    monkeypatch.setattr(reconstruction_picture, "draw_reconstructions", calls.append)
    monkeypatch.setattr(encoder_file, "write_encoder", calls.append)
    return calls


def words(command, source, out, forced):
    before = [word.format(input=source) for word in command]
    return [*before, str(out), *(["--force"] if forced else [])]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", COMMANDS)
def test_commands_refuse_a_place_before_any_work(name, fault, tmp_path, monkeypatch, calls):
    command, suffix = COMMANDS[name]
    source, out = make(fault, tmp_path, suffix, monkeypatch)
    with pytest.raises(SystemExit) as stop:
        main(words(command, source, out, IS_FORCED[fault]))
    option = "--out" if "--out" in command else "OUT"
    assert str(stop.value).startswith(f"error: {option}: {FAULTS[fault].format(out=out)}")
    assert calls == []
    assert source.read_text() == "input"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("tool", TOOLS)
def test_tools_refuse_the_same_places(tool, fault, tmp_path, monkeypatch):
    command, suffix = TOOLS[tool]
    source, out = make(fault, tmp_path, suffix, monkeypatch)
    given = words(command, source, out, IS_FORCED[fault])
    assert FAULTS[fault].format(out=out) in run_tool(tool, *given, code=1).stderr
    assert source.read_text() == "input"


@pytest.mark.parametrize("name", COMMANDS)
def test_force_replaces_files_and_missing_folders_appear(name, tmp_path, calls):
    command, suffix = COMMANDS[name]
    (tmp_path / f"out{suffix}").write_text("earlier")
    main(words(command, "w.pth", tmp_path / f"out{suffix}", True))
    main(words(command, "w.pth", tmp_path / f"new/folder/out{suffix}", False))
    assert len(calls) == 2
    assert (tmp_path / "new/folder").is_dir()


def test_folders_are_refused_for_the_same_reasons(tmp_path, monkeypatch):
    file, folder, link = tmp_path / "file", tmp_path / "folder", tmp_path / "link"
    file.write_text("kept")
    folder.mkdir()
    link.symlink_to("gone")
    for path, replace, message in (
        (folder, False, "folder' exists already: give another folder, or overwrite it with"),
        (file, True, r"file' \(it is no folder\): give another folder"),
        (link, True, r"link' \(it is a broken link\): give another folder"),
        (tmp_path, True, "is read by this command: give another folder"),
    ):
        with pytest.raises(ConfigError, match=message):
            prepare_output(path, replace, [str(tmp_path)], is_folder=True)
    prepare_output(folder, True, is_folder=True)
    prepare_output(tmp_path / "new/one", False, is_folder=True)
    assert os.listdir(tmp_path / "new") == []
    monkeypatch.setattr(os, "access", lambda path, _: path != folder)
    with pytest.raises(ConfigError, match="read-only"):
        prepare_output(folder, True, is_folder=True)


def test_archives_of_given_images_are_not_replaced(tmp_path):
    archive = tmp_path / "a.tar"
    archive.write_text("kept")
    with pytest.raises(ConfigError, match="is read by this command"):
        prepare_output(archive, True, [f"{archive}::a.png"])
