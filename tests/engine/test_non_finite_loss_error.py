from mim_plugins.engine import NonFiniteLossError


def test_is_no_error_of_values_that_loops_might_swallow():
    assert issubclass(NonFiniteLossError, RuntimeError)
