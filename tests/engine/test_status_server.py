import math
import re
import sys
import urllib.request

import pytest

from mim_plugins.engine.status_server import StatusServer

STATUS = dict(
    iteration=3,
    max_iterations=9,
    epoch=1,
    images_per_s=None,
    learning_rate=0.5,
    restarts=[dict(time=1.0), dict(time=2.0)],
    corrupt_images=None,
    last_checkpoint=dict(path="iter_2.pth", time=123.0),
    updated=456.0,
    losses=dict(loss=0.25, loss_clip=0.125),
)


@pytest.fixture
def serve():
    """Return a function that starts a server, which is closed after the test."""
    pytest.importorskip("prometheus_client")
    servers = []

    def start(work_dir="run", port=0):
        servers.append(StatusServer(port, work_dir))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def read(server):
    """Return the values that are served, by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as page:
        lines = page.read().decode().splitlines()
    found = (re.fullmatch(r"mim_plugins_(\w+){(.*)} (\S+)", line) for line in lines)
    return {(each[1], each[2]): float(each[3]) for each in found if each}


def test_numbers_of_the_status_are_served(serve):
    server = serve()
    server.update(STATUS)
    values = read(server)
    label = 'work_dir="run"'
    assert values["iteration", label] == 3
    assert values["max_iterations", label] == 9
    assert values["epoch", label] == 1
    assert values["learning_rate", label] == 0.5
    assert values["restarts", label] == 2
    assert values["last_checkpoint_timestamp_seconds", label] == 123
    assert values["updated_timestamp_seconds", label] == 456
    assert values["loss", f'term="loss",{label}'] == 0.25
    assert values["loss", f'term="loss_clip",{label}'] == 0.125
    assert math.isnan(values["images_per_second", label])
    assert math.isnan(values["corrupt_images", label])


def test_an_update_replaces_the_values(serve):
    server = serve()
    server.update(STATUS)
    before = read(server)
    server.update(STATUS | dict(iteration=4, images_per_s=100.0, last_checkpoint=None))
    values = read(server)
    label = 'work_dir="run"'
    assert values.keys() == before.keys()
    assert (values["iteration", label], values["images_per_second", label]) == (4, 100)
    assert math.isnan(values["last_checkpoint_timestamp_seconds", label])


def test_a_folder_with_undecodable_bytes_is_served(serve):
    server = serve("run_\udcff")
    server.update(STATUS)
    assert read(server)["epoch", r'work_dir="run_\\udcff"'] == 1


def test_a_closed_server_frees_its_port(serve):
    first = serve()
    with pytest.raises(OSError, match="in use"):
        StatusServer(first.port, "run")
    first.close()
    StatusServer(first.port, "run").close()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ImportError, match=r"prometheus_port=7 needs .*mim_plugins\[monitoring\]"):
        StatusServer(7, "run")
