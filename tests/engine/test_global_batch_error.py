from mim_plugins.engine.global_batch_error import GlobalBatchError


def test_is_a_value_error_that_keeps_its_message():
    assert issubclass(GlobalBatchError, ValueError)
    assert str(GlobalBatchError("no batch")) == "no batch"
