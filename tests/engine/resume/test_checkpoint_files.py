import os
from pathlib import Path

import pytest
import torch

from mim_plugins.checkpoints import write_with_digest
from mim_plugins.engine.resume.checkpoint_files import (
    best_in_folder,
    check_integrity,
    find_file_corruption,
    find_resumable,
)
from mim_plugins.errors import CheckpointError


def save(folder, iteration, name=None, time=None, **more):
    path = folder / (name or f"iter_{iteration}.pth")
    checkpoint = dict(
        meta=dict(iter=iteration, epoch=0),
        state_dict=dict(weight=torch.rand(5000)),
        message_hub=dict(log_scalars={}, runtime_info={}, resumed_keys={}),
        optimizer={},
    )
    torch.save(checkpoint | more, path)
    os.utime(path, (time or iteration, time or iteration))
    return path


def choose(folder):
    return find_resumable(folder, folder / "last_checkpoint")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


CORRUPTIONS = dict(
    truncated=lambda path: path.write_bytes(path.read_bytes()[:-100]),
    half=lambda path: path.write_bytes(path.read_bytes()[:9000]),
    empty=lambda path: path.write_bytes(b""),
    flipped=flip,
    zeros=lambda path: path.write_bytes(bytes(path.stat().st_size)),
)


@pytest.mark.parametrize("kind", sorted(CORRUPTIONS))
def test_corrupt_newest_file_falls_back_with_a_warning(tmp_path, kind):
    good, newest = save(tmp_path, 1), save(tmp_path, 2)
    (tmp_path / "last_checkpoint").write_text(str(newest))
    assert find_file_corruption(newest) is None
    assert choose(tmp_path) == (newest, [])
    CORRUPTIONS[kind](newest)
    os.utime(newest, (2, 2))
    path, warnings = choose(tmp_path)
    assert path == good
    assert any("iter_2.pth is corrupt" in text and "iter_1.pth" in text for text in warnings)
    with pytest.raises(CheckpointError, match="is corrupt"):
        check_integrity(str(newest))
    CORRUPTIONS[kind](good)
    with pytest.raises(CheckpointError, match=r"(?s)none can be resumed from.*--overwrite"):
        choose(tmp_path)


def test_every_flipped_byte_of_a_tensor_is_detected(tmp_path):
    path = save(tmp_path, 1)
    content = path.read_bytes()
    start = content.index(
        torch.load(path, weights_only=False)["state_dict"]["weight"].numpy().tobytes()
    )
    for place in range(start, start + 20_000, 1_999):
        path.write_bytes(content[:place] + bytes([content[place] ^ 64]) + content[place + 1 :])
        assert "does not match" in find_file_corruption(path)


@pytest.mark.parametrize("pointer", [None, "", "/elsewhere/iter_9.pth"])
def test_unusable_pointer_falls_back_to_the_last_written_file(tmp_path, pointer):
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    save(tmp_path, 3, name="best_acc.pth", optimizer=None).unlink()
    torch.save(dict(state_dict={}), tmp_path / "weights.pth")
    if pointer is not None:
        (tmp_path / "last_checkpoint").write_text(pointer)
    path, warnings = choose(tmp_path)
    assert path == newest
    assert len(warnings) == 1


GARBAGE = dict(
    binary=bytes(range(256)),
    not_utf8=b"\xff\xfe iter_1.pth",
    nul=b"iter\x000_1.pth",
    two_lines=b"iter_1.pth\niter_2.pth",
    huge=b"a" * 100_000 + b".pth",
    long_name=b"a" * 300 + b".pth",
    parent=b"..",
    itself=b".",
    folder=b"/elsewhere/",
    other_file=b"last_checkpoint",
    elsewhere=b"../other/iter_7.pth",
    of_windows=b"D:\\run\\iter_7.pth",
)


@pytest.mark.parametrize("kind", sorted(GARBAGE))
def test_corrupt_pointer_falls_back_to_the_last_written_file(tmp_path, kind):
    (tmp_path / "other").mkdir()
    save(tmp_path / "other", 7)
    folder = tmp_path / "run"
    folder.mkdir()
    pointer = folder / "last_checkpoint"
    pointer.write_bytes(GARBAGE[kind])
    with pytest.raises(CheckpointError, match="last_checkpoint"):
        choose(folder)
    save(folder, 1)
    newest = save(folder, 2)
    path, (warning,) = choose(folder)
    assert path == newest
    assert f"{pointer} " in warning
    assert len(warning) < 300 + len(str(folder))


def test_pointer_that_is_not_a_file_is_not_read(tmp_path):
    newest, pointer = save(tmp_path, 1), tmp_path / "last_checkpoint"
    for make in (pointer.mkdir, lambda: os.mkfifo(pointer), lambda: pointer.symlink_to(pointer)):
        make()
        path, (warning,) = choose(tmp_path)
        assert path == newest
        assert "is not a regular file; remove it" in warning
        pointer.rmdir() if pointer.is_dir() else pointer.unlink()


def test_unreadable_files_are_skipped(tmp_path, monkeypatch):
    good, newest, pointer = save(tmp_path, 1), save(tmp_path, 2), tmp_path / "last_checkpoint"
    pointer.write_text(newest.name)
    opened = Path.open

    def refuse(path, *arguments, **settings):
        if path in (newest, pointer):
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **settings)

    monkeypatch.setattr(Path, "open", refuse)
    path, warnings = choose(tmp_path)
    assert path == good
    assert len(warnings) == 2
    assert all("cannot be read (Permission denied)" in text for text in warnings)


def test_flipped_bit_falls_back_to_the_older_file(tmp_path):
    """Flip some bits of a small file; the tests of the digest flip all of them."""
    good, newest = save(tmp_path, 1), tmp_path / "iter_2.pth"
    pointer = tmp_path / "last_checkpoint"
    content = save(tmp_path, 2, state_dict=dict(weight=torch.ones(3))).read_bytes()
    write_with_digest(newest, content)
    sealed = newest.read_bytes()
    for bit in range(0, 8 * len(sealed), 97):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        newest.write_bytes(changed)
        pointer.write_text(newest.name) if bit % 2 else pointer.unlink(missing_ok=True)
        path, warnings = choose(tmp_path)
        assert path == good
        assert any("iter_2.pth is corrupt" in text for text in warnings)


def test_file_with_invalid_types_is_skipped(tmp_path):
    good = save(tmp_path, 1)
    save(tmp_path, 2, meta=dict(iter=2.0, epoch=0))
    save(tmp_path, 3, optimizer=[1])
    torch.save([1, 2], tmp_path / "iter_4.pth")
    path, warnings = choose(tmp_path)
    assert path == good
    assert len(warnings) == 4
    assert any("meta.iter is float 2.0, not a count" in text for text in warnings)


def test_checkpoint_that_lost_its_optimizer_is_not_weights_only(tmp_path):
    newest = save(tmp_path, 1)
    write_with_digest(newest, newest.read_bytes())
    newest.write_bytes(newest.read_bytes().replace(b"optimizer", b"optimizes"))
    with pytest.raises(CheckpointError, match="digest does not match"):
        choose(tmp_path)


def test_files_with_equal_times_are_ordered_by_progress(tmp_path):
    for iteration in (3, 10, 9):
        save(tmp_path, iteration, time=5)
    assert choose(tmp_path).path.name == "iter_10.pth"


def test_best_file_path_is_moved_into_the_run_folder(tmp_path):
    found = best_in_folder(dict(a="/old/run/best_a.pth", b="/etc/passwd", c=None, d=".."), "/new")
    assert found == dict(a="/new/best_a.pth", b=None, c=None, d=None)
    assert best_in_folder("best_acc_epoch_3.pth", "s3://bucket/") == (
        "s3://bucket/best_acc_epoch_3.pth"
    )


def test_file_completed_after_the_pointer_is_preferred(tmp_path):
    old, newer = save(tmp_path, 1), save(tmp_path, 2)
    (tmp_path / "last_checkpoint").write_text(str(old))
    path, (warning,) = choose(tmp_path)
    assert path == newer
    assert "names iter_1.pth" in warning


def test_files_of_a_longer_earlier_run_are_not_chosen(tmp_path):
    save(tmp_path, 600, time=1)
    current = save(tmp_path, 10, time=2)
    (tmp_path / "last_checkpoint").write_text(str(current))
    assert choose(tmp_path).path == current
    (tmp_path / "last_checkpoint").unlink()
    assert choose(tmp_path).path == current


def test_empty_folder_is_a_new_run_but_a_lost_file_an_error(tmp_path):
    assert choose(tmp_path) == (None, [])
    assert choose(tmp_path / "missing") == (None, [])
    (tmp_path / "last_checkpoint").write_text("iter_5.pth")
    with pytest.raises(CheckpointError, match=r"iter_5\.pth"):
        choose(tmp_path)


def test_missing_file_chosen_by_the_user_is_reported(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        check_integrity(str(tmp_path / "none.pth"))
    with pytest.raises(CheckpointError, match="is a folder"):
        check_integrity(str(tmp_path))
    check_integrity("https://example.org/a.pth")


def test_pointer_to_a_folder_is_followed_for_deepspeed_only(tmp_path):
    newest = save(tmp_path, 1)
    (tmp_path / "other.pth").mkdir()
    (tmp_path / "last_checkpoint").write_text("other.pth")
    path, (warning,) = choose(tmp_path)
    assert path == newest
    assert "names a folder" in warning
    (tmp_path / "other.pth/mp_rank_00_model_states.pt").touch()
    assert choose(tmp_path).path == tmp_path / "other.pth"
