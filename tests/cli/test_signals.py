from signal import SIGINT, SIGTERM, getsignal, raise_signal

import pytest

from mim_plugins.cli.signals import exit_at_sigterm, without_interruptions


def test_sigterm_is_an_exit_that_the_block_can_clean_up():
    before = getsignal(SIGTERM)
    with pytest.raises(SystemExit, match=r"^143$"), exit_at_sigterm():
        raise_signal(SIGTERM)
    assert getsignal(SIGTERM) == before


def test_a_block_completes_despite_signals():
    before = getsignal(SIGINT), getsignal(SIGTERM)
    with without_interruptions():
        raise_signal(SIGINT)
        raise_signal(SIGTERM)
    assert (getsignal(SIGINT), getsignal(SIGTERM)) == before
