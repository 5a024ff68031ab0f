"""Cores and processes of this machine."""

import os

import pytest

from mim_plugins.cli.cores import reading_processes, usable_cores


def test_cores_are_those_that_a_batch_job_may_use(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {4, 5}, raising=False)
    assert usable_cores() == reading_processes() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == 128


@pytest.mark.parametrize(("cores", "processes"), [(1, 1), (16, 16), (384, 16)])
def test_images_are_read_by_few_processes(monkeypatch, cores, processes):
    monkeypatch.setattr("mim_plugins.cli.cores.usable_cores", lambda: cores)
    assert reading_processes() == processes
