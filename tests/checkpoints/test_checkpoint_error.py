from mim_plugins.checkpoints import CheckpointError


def test_it_is_a_value_error_with_its_message_as_text():
    assert issubclass(CheckpointError, ValueError)
    assert str(CheckpointError("'x.pth' is empty")) == "'x.pth' is empty"
