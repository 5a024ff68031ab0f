import os

from mim_plugins.engine.guards.process_identity import machine_id, process_start


def test_an_ended_process_has_no_start():
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert process_start(child) is None  # not yet waited for
    os.waitpid(child, 0)
    assert process_start(child) is None
    assert process_start(os.getpid()) == process_start(str(os.getpid()))


def test_values_that_are_no_process_have_no_start():
    assert [process_start(value) for value in (None, "x", -1, 10**30)] == [None] * 4


def test_a_machine_has_one_id():
    assert machine_id() == machine_id()
