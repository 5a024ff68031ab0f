"""Weights of OpenCLIPTarget from a hub or a link, and errors without a network."""

import hashlib
import time
from pathlib import Path

import pytest
import torch
from faulty_server import head

from mim_plugins.targets import OpenCLIPTarget


def test_without_network_one_error_names_tag_file_and_option(tags, unreachable_hub, tmp_path):
    start = time.monotonic()
    with pytest.raises(FileNotFoundError) as raised:
        OpenCLIPTarget("tiny-clip", "hub", cache_dir=str(tmp_path))
    message = str(raised.value)
    assert time.monotonic() - start < 5
    assert message.startswith("the weights 'tiny-clip hub' cannot")
    assert message.endswith(
        "get 'some/repository/open_clip_model.safetensors' of the hub where there is a network,"
        " and set pretrained='/path/to/open_clip_model.safetensors', tag='hub'"
    )
    assert raised.value.__suppress_context__

    with pytest.raises(
        FileNotFoundError, match=r"get 'weights\.pt' where .*weights\.pt', tag='link'"
    ):
        OpenCLIPTarget("tiny-clip", "link", cache_dir=str(tmp_path))


def test_the_default_teacher_without_network(open_clip, unreachable_hub, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'ViT-B-16 openai' .*safetensors', tag='openai'"):
        OpenCLIPTarget(cache_dir=str(tmp_path))


@pytest.fixture
def linked(served, tags):
    """Return the server of the file of the tag ``link``."""
    tags["link"]["url"] = f"{served.address}/some/w-{'0' * 8}.pt"
    return served


@pytest.mark.parametrize("tag", ["hub", "link"])
def test_servers_that_stall_end_with_one_line(linked, tmp_path, tag):
    linked.answers.append(linked.stalls_after())
    begin = time.monotonic()
    with pytest.raises(
        FileNotFoundError, match=r"cannot be downloaded \(\w*Time\w*: .*time"
    ) as caught:
        OpenCLIPTarget("tiny-clip", tag, cache_dir=str(tmp_path / "cache"))
    assert time.monotonic() - begin < 8
    assert "\n" not in str(caught.value)


def test_a_hub_that_trickles_ends_with_one_line(linked, tmp_path):
    about = dict(ETag='"abc"', X_Repo_Commit="0" * 40, Content_Length=9999)
    trickle = linked.trickles_after(head(**about), b"x" * 9999)
    linked.answers[:] = [linked.sends(head(**about)), trickle]
    begin = time.monotonic()
    with pytest.raises(FileNotFoundError, match=r"\(TimeoutError: the server sent \d+ bytes in"):
        OpenCLIPTarget("tiny-clip", "hub", cache_dir=str(tmp_path / "cache"))
    assert time.monotonic() - begin < 8


def test_a_link_is_fetched_and_compared_with_its_digest(linked, tags, weights, trained, tmp_path):
    content = Path(weights).read_bytes()
    linked.answers.append(linked.sends(head(Content_Length=len(content)), content))
    cache = str(tmp_path / "cache")
    with pytest.raises(FileNotFoundError, match="is not the file that open_clip expects"):
        OpenCLIPTarget("tiny-clip", "link", cache_dir=cache)

    name = f"w-{hashlib.sha256(content).hexdigest()[:8]}.pt"
    tags["link"]["url"] = f"{linked.address}/some/{name}"
    (tmp_path / "cache" / name).write_bytes(content[:100])  # of an older program
    target = OpenCLIPTarget("tiny-clip", "link", cache_dir=cache)
    assert torch.equal(target._towers[4, 4].visual.conv1.weight, trained.visual.conv1.weight)
    linked.answers[:] = [linked.sends(head("500 Oops"))]
    OpenCLIPTarget("tiny-clip", "link", cache_dir=cache)
