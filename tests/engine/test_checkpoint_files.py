import os

import pytest
import torch

from mim_plugins.checkpoints import CheckpointError
from mim_plugins.engine.checkpoint_files import choose_checkpoint, find_damage, require_whole


def save(folder, iteration, name=None, time=None, **more):
    path = folder / (name or f"iter_{iteration}.pth")
    checkpoint = dict(
        meta=dict(iter=iteration, epoch=0),
        state_dict=dict(weight=torch.rand(5000)),
        message_hub={},
        optimizer={},
    )
    torch.save(checkpoint | more, path)
    os.utime(path, (time or iteration, time or iteration))
    return path


def choose(folder):
    return choose_checkpoint(folder, folder / "last_checkpoint")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = dict(
    truncated=lambda path: path.write_bytes(path.read_bytes()[:-100]),
    half=lambda path: path.write_bytes(path.read_bytes()[:9000]),
    empty=lambda path: path.write_bytes(b""),
    flipped=flip,
    zeros=lambda path: path.write_bytes(bytes(path.stat().st_size)),
)


@pytest.mark.parametrize("kind", sorted(DAMAGE))
def test_damaged_newest_file_falls_back_with_a_warning(tmp_path, kind):
    good, newest = save(tmp_path, 1), save(tmp_path, 2)
    (tmp_path / "last_checkpoint").write_text(str(newest))
    assert find_damage(newest) is None
    assert choose(tmp_path) == (newest, [])
    DAMAGE[kind](newest)
    os.utime(newest, (2, 2))
    path, warnings = choose(tmp_path)
    assert path == good
    assert any("iter_2.pth is damaged" in text and "iter_1.pth" in text for text in warnings)
    with pytest.raises(CheckpointError, match="is damaged"):
        require_whole(str(newest))
    DAMAGE[kind](good)
    with pytest.raises(CheckpointError, match="none that can be resumed from"):
        choose(tmp_path)


def test_every_flipped_byte_of_a_tensor_is_found(tmp_path):
    path = save(tmp_path, 1)
    content = path.read_bytes()
    start = content.index(torch.load(path)["state_dict"]["weight"].numpy().tobytes())
    for place in range(start, start + 20_000, 1_999):
        path.write_bytes(content[:place] + bytes([content[place] ^ 64]) + content[place + 1 :])
        assert "does not match" in find_damage(path)


@pytest.mark.parametrize("pointer", [None, "", "/elsewhere/iter_9.pth"])
def test_missing_empty_or_dangling_pointer_takes_the_file_written_last(tmp_path, pointer):
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    save(tmp_path, 3, name="best_acc.pth", optimizer=None).unlink()
    torch.save(dict(state_dict={}), tmp_path / "weights.pth")
    if pointer is not None:
        (tmp_path / "last_checkpoint").write_text(pointer)
    path, warnings = choose(tmp_path)
    assert path == newest
    assert len(warnings) == 1


def test_file_completed_after_the_pointer_is_newer(tmp_path):
    old, newer = save(tmp_path, 1), save(tmp_path, 2)
    (tmp_path / "last_checkpoint").write_text(str(old))
    path, (warning,) = choose(tmp_path)
    assert path == newer
    assert "names iter_1.pth" in warning


def test_leftovers_of_a_longer_earlier_run_are_not_taken(tmp_path):
    save(tmp_path, 600, time=1)
    current = save(tmp_path, 10, time=2)
    (tmp_path / "last_checkpoint").write_text(str(current))
    assert choose(tmp_path).path == current
    (tmp_path / "last_checkpoint").unlink()
    assert choose(tmp_path).path == current


def test_empty_folder_is_a_new_run_but_a_lost_file_is_an_error(tmp_path):
    assert choose(tmp_path) == (None, [])
    assert choose(tmp_path / "missing") == (None, [])
    (tmp_path / "last_checkpoint").write_text("iter_5.pth")
    with pytest.raises(CheckpointError, match=r"iter_5\.pth"):
        choose(tmp_path)


def test_missing_file_of_the_users_choice(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        require_whole(str(tmp_path / "none.pth"))
    require_whole("https://example.org/a.pth")
